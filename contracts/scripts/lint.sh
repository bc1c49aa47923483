#!/usr/bin/env bash
# Lints the Solidity sources (a warning is an error) and checks what is written from them: tests of each sentence and each error.
set -euo pipefail

. "$(dirname "${BASH_SOURCE[0]}")/paths.sh"

"$CONTRACTS/scripts/setup.sh"
cd "$CONTRACTS"
node node_modules/solhint/solhint.js --disc --max-warnings 0 'src/**/*.sol'
"$VENV/bin/python" scripts/spec_map.py --check
"$VENV/bin/python" scripts/reverts.py
