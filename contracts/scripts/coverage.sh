#!/usr/bin/env bash
# Measures which lines, branches and reverts of src/ the tests reach, and fails where they are too few; --help tells more.
set -euo pipefail

. "$(dirname "${BASH_SOURCE[0]}")/paths.sh"

"$CONTRACTS/scripts/setup.sh"
work="$(mktemp -d)"
trap 'rm -rf "$work"' EXIT
use_home "$work"
port="$(free_port)"
write_network coverage "http://127.0.0.1:$port" "{}"
"$VENV/bin/python" "$CONTRACTS/coverage/measure.py" --port "$port" "$@"
