#!/usr/bin/env bash
# Makes the provers' environment, .venv-proofs (halmos and slither). Does nothing when it is up to date.
set -euo pipefail

. "$(dirname "${BASH_SOURCE[0]}")/paths.sh"

PROOFS="$ROOT/.venv-proofs"
LOCK="$ROOT/requirements/proofs.lock"

exec 9> "$CONTRACTS/.prove_setup.lock"
flock 9
lock_digest="$(sha256sum < "$LOCK")"
[ -f "$PROOFS/.stamp" ] && [ "$(cat "$PROOFS/.stamp")" = "$lock_digest" ] && exit
uv="${UV:-$ROOT/.venv-bootstrap/bin/uv}"
[ -x "$uv" ] || uv="$(command -v uv)" || fail "no uv: set UV, or make .venv-bootstrap"
[ -x "$PROOFS/bin/python" ] || "$uv" venv --quiet --python "${PYTHON:-3.11}" "$PROOFS"
"$uv" pip sync --quiet --require-hashes --python "$PROOFS/bin/python" "$LOCK"
echo "$lock_digest" > "$PROOFS/.stamp"
