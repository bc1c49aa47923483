#!/usr/bin/env bash
# Checks the contracts by every tool, in two lanes beside each other, and says for each how long it took.
# prove.sh coverage | forge | halmos | slither runs one tool; without a name all run, Brownie's tests too.
# prove.sh --after-tests leaves out what `make test` has just done: lint, ABIs, Brownie's tests.
set -euo pipefail

. "$(dirname "${BASH_SOURCE[0]}")/paths.sh"

FORGE_OUT=cache/forge/out
SLITHER_OUT=cache/slither
export PATH="$CONTRACTS/node_modules/@foundry-rs/forge-linux-amd64/bin:$ROOT/.venv-proofs/bin:$CONTRACTS/bin:$PATH"

main() {
    "$CONTRACTS/scripts/setup.sh"
    "$CONTRACTS/scripts/prove_setup.sh"
    cd "$CONTRACTS"
    local tests=(lint abi brownie)
    if [ "${1:-}" = --after-tests ]; then tests=(); shift; fi
    if [ $# -gt 0 ]; then "step_$1"; return; fi

    logs="$ROOT/build/contracts"
    rm -rf "$logs"
    mkdir -p "$logs"
    # Brownie's walks wait for their chain, forge compiles: on two cores neither hinders the other.
    lane "${tests[@]}" coverage &
    local first=$! status=0
    lane forge slither halmos || status=1
    wait "$first" || status=1
    cat "$logs"/*.summary
    return "$status"
}

lane() {
    local status=0
    for name in "$@"; do timed "$name" || status=1; done
    return "$status"
}

# One line for each step; the whole output only of what failed.
timed() {
    local name="$1" began=$SECONDS verdict=passed
    # A process of its own: `set -e` sleeps in a condition.
    "$CONTRACTS/scripts/prove.sh" "$name" > "$logs/$name.log" 2>&1 || verdict=FAILED
    local last
    last="$(grep -v '^[[:space:]]*$' "$logs/$name.log" | tail -n 1 | cut -c1-100 || true)"
    printf '%-8s %4d s  %s  %s\n' "$name" $((SECONDS - began)) "$verdict" "$last" > "$logs/$name.summary"
    [ "$verdict" = passed ] || { cat "$logs/$name.log" >&2; return 1; }
}

step_lint() { "$CONTRACTS/scripts/lint.sh" && echo "no warning"; }
step_abi() { "$CONTRACTS/scripts/export_abi.sh" --check && echo "exported ABIs are the contracts'"; }
step_brownie() { "$CONTRACTS/scripts/test.sh"; }
step_coverage() { "$CONTRACTS/scripts/coverage.sh"; }
step_forge() { forge test --no-match-contract Symbolic; }

# z3 comes with halmos; its default solver would be downloaded.
step_halmos() {
    halmos --forge-build-out "$FORGE_OUT" --contract RentalEscrowSymbolic --solver z3 --solver-timeout-assertion 60000
}

step_slither() {
    # A build of its own: forge's other one holds whatever was compiled last.
    forge build --skip 'proofs/**' --force --out "$SLITHER_OUT/out" --cache-path "$SLITHER_OUT/cache"
    local report="$SLITHER_OUT/report.json"
    rm -f "$report"
    # It exits with the number of findings; the reasons decide. What it cannot read is OpenZeppelin's transient guard.
    slither . --compile-force-framework foundry --foundry-ignore-compile --foundry-out-directory "$SLITHER_OUT/out" \
        --filter-paths 'node_modules' --json "$report" > "$SLITHER_OUT/slither.log" 2>&1 || true
    [ -f "$report" ] || { cat "$SLITHER_OUT/slither.log" >&2; return 1; }
    python "$CONTRACTS/scripts/slither.py" "$report"
}

main "$@"
