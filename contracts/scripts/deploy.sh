#!/usr/bin/env bash
# Deploys the contracts to a running development chain: deploy.sh RPC_URL OUT_JSON WORK_HOME
# Writes OUT_JSON; does nothing if it is there and the chain holds that code. WORK_HOME is a folder for Brownie's own data.
# Takes about five seconds; the contracts must have been compiled (setup.sh).
set -euo pipefail

. "$(dirname "${BASH_SOURCE[0]}")/paths.sh"

[ $# -eq 3 ] || fail "usage: deploy.sh RPC_URL OUT_JSON WORK_HOME"
rpc_url="$1" out_json="$(realpath -m "$2")"
[ -f "$CONTRACTS/build/contracts/RentalEscrow.json" ] || fail "not compiled: run contracts/scripts/setup.sh"

use_home "$3"
write_network chain "$rpc_url" "{}"
# Brownie reads imported sources relative to where it runs.
cd "$CONTRACTS"
exec "$VENV/bin/python" -W ignore "$CONTRACTS/scripts/deploy.py" "$rpc_url" "$out_json"
