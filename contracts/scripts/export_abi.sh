#!/usr/bin/env bash
# Exports ABIs and type hashes to services/settlement/abi; with --check only tells whether they differ.
set -euo pipefail

. "$(dirname "${BASH_SOURCE[0]}")/paths.sh"

"$CONTRACTS/scripts/setup.sh"
exec "$VENV/bin/python" "$CONTRACTS/scripts/export_abi.py" --port "$(free_port)" "$@"
