#!/usr/bin/env bash
# Measures the gas of every action on a chain of its own and compares it with contracts/gas/budgets.json; --help tells more.
set -euo pipefail

. "$(dirname "${BASH_SOURCE[0]}")/paths.sh"

"$CONTRACTS/scripts/setup.sh"
exec "$VENV/bin/python" "$CONTRACTS/gas/measure.py" "$@"
