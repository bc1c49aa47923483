#!/usr/bin/env bash
# Makes the contracts' environment: .venv-contracts, node_modules, build/. Does nothing when all are up to date.
# Needs Python 3.11, as $PYTHON where that is set. Takes uv from $UV, .venv-bootstrap or PATH, node from PATH or, where there is none >= 20, from node.lock.
set -euo pipefail

. "$(dirname "${BASH_SOURCE[0]}")/paths.sh"

LOCK="$ROOT/requirements/contracts.lock"
NODE_LOCK="$ROOT/requirements/node.lock"

main() {
    exec 9> "$CONTRACTS/.setup.lock"
    flock 9
    logs="$(mktemp -d)"
    trap 'rm -rf "$logs"' EXIT

    # The two downloads do not wait for each other.
    step_python > "$logs/python" 2>&1 &
    local python_step=$!
    step_node > "$logs/node" 2>&1 &
    local node_step=$!
    wait "$python_step" || { cat "$logs/python" >&2; fail "setting up .venv-contracts failed"; }
    wait "$node_step" || { cat "$logs/node" >&2; fail "setting up node_modules failed"; }
    # Brownie finds a compiler by its name in a folder.
    mkdir -p "$SOLC_FOLDER"
    [ -e "$SOLC_FOLDER/solc-v$(solc_version)" ] || ln -sfn ../../bin/solc "$SOLC_FOLDER/solc-v$(solc_version)"
    step_compile
}

step_python() {
    is_fresh "$VENV/.stamp" "$LOCK" && [ -x "$VENV/bin/brownie" ] && return
    local uv
    uv="$(find_uv)"
    [ -x "$VENV/bin/python" ] || "$uv" venv --quiet --python "${PYTHON:-3.11}" "$VENV"
    "$uv" pip sync --quiet --require-hashes --python "$VENV/bin/python" "$LOCK"
    stamp "$VENV/.stamp" "$LOCK"
}

step_node() {
    local stamp_file="$CONTRACTS/node_modules/.stamp"
    is_fresh "$stamp_file" "$CONTRACTS/package-lock.json" && command -v node > /dev/null && return
    find_node
    (cd "$CONTRACTS" && npm ci --no-audit --no-fund --loglevel=error)
    link_node
    stamp "$stamp_file" "$CONTRACTS/package-lock.json"
}

step_compile() {
    local stamp_file="$CONTRACTS/build/.stamp"
    local inputs=("$CONTRACTS/package-lock.json" "$CONTRACTS/brownie-config.yaml" "$CONTRACTS/bin/solc" "$LOCK")
    while IFS= read -r file; do inputs+=("$file"); done < <(find "$CONTRACTS/src" -name '*.sol' | sort)
    is_fresh "$stamp_file" "${inputs[@]}" && return
    echo "contracts: compiling (about half a minute)"
    use_home "$CONTRACTS/cache/home"
    local log="$logs/compile"
    # All at once: code compiled file by file may differ in places, and what is deployed must be what anyone can rebuild.
    rm -rf "$CONTRACTS/build/contracts" "$CONTRACTS/build/compilation"
    (cd "$CONTRACTS" && SOLC_RECORD="$CONTRACTS/build/compilation" "$VENV/bin/brownie" compile) > "$log" 2>&1 || { cat "$log" >&2; fail "compiling failed"; }
    # Brownie exits 0 when the compiler refuses.
    grep -q "Project has been compiled" "$log" || { cat "$log" >&2; fail "compiling failed"; }
    stamp "$stamp_file" "${inputs[@]}"
}

find_uv() {
    if [ -n "${UV:-}" ]; then echo "$UV"
    elif [ -x "$ROOT/.venv-bootstrap/bin/uv" ]; then echo "$ROOT/.venv-bootstrap/bin/uv"
    elif command -v uv > /dev/null; then command -v uv
    else fail "no uv: set UV, or make .venv-bootstrap"
    fi
}

# The wheel is 200 MB, so it is taken only where it must be.
find_node() {
    if command -v node > /dev/null && [ "$(node -p 'process.versions.node.split(".")[0]')" -ge 20 ]; then return; fi
    local venv="$CONTRACTS/cache/node"
    [ -x "$venv/bin/python" ] || "$(find_uv)" venv --quiet --python "${PYTHON:-3.11}" "$venv"
    "$(find_uv)" pip sync --quiet --require-hashes --python "$venv/bin/python" "$NODE_LOCK"
    export PATH="$venv/bin:$PATH"
}

# npm ci empties node_modules, so the link to a node of our own is made after it.
link_node() {
    local venv="$CONTRACTS/cache/node"
    [ -x "$venv/bin/node" ] || return 0
    mkdir -p "$CONTRACTS/node_modules/.node/bin"
    ln -sfn "$venv/bin/node" "$CONTRACTS/node_modules/.node/bin/node"
}

solc_version() {
    sed -n 's/^ *"version": "\([0-9.]*\)".*/\1/p' "$CONTRACTS/node_modules/solc/package.json"
}

digest() { cat "$@" | sha256sum; }
stamp() { local file="$1"; shift; digest "$@" > "$file"; }
is_fresh() { local file="$1"; shift; [ -f "$file" ] && [ "$(digest "$@")" = "$(cat "$file")" ]; }

main
