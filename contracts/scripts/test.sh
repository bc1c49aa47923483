#!/usr/bin/env bash
# Runs the contracts' tests on a chain of their own, on a free port. Arguments go to pytest.
set -euo pipefail

. "$(dirname "${BASH_SOURCE[0]}")/paths.sh"

"$CONTRACTS/scripts/setup.sh"
work="$(mktemp -d)"
trap 'rm -rf "$work"' EXIT
use_home "$work"
write_network tests "http://127.0.0.1" "{port: $(free_port), base_fee: 0}"

cd "$CONTRACTS"
# Paths first: Brownie adds the whole folder where the first argument is an option.
"$VENV/bin/brownie" test "$@" --network tests
