#!/usr/bin/env bash
# Changes the escrow's sources one place at a time and tells how many of the changes its tests notice; --help tells more.
set -euo pipefail

. "$(dirname "${BASH_SOURCE[0]}")/paths.sh"

"$CONTRACTS/scripts/setup.sh"
exec "$VENV/bin/python" "$CONTRACTS/mutation/mutate.py" "$@"
