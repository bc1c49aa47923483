#!/usr/bin/env bash
# Lints the Solidity sources; a warning is an error.
set -euo pipefail

. "$(dirname "${BASH_SOURCE[0]}")/paths.sh"

"$CONTRACTS/scripts/setup.sh"
cd "$CONTRACTS"
node node_modules/solhint/solhint.js --disc --max-warnings 0 'src/**/*.sol'
