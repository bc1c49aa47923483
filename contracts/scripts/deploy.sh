#!/usr/bin/env bash
# Deploys the contracts to one chain, verifies them there, or tells where they will be: deploy.sh --help.
# HIRELING_BROWNIE_HOME is a folder for Brownie's own data; without it a temporary one is used. Never compiles: setup.sh does.
set -euo pipefail

. "$(dirname "${BASH_SOURCE[0]}")/paths.sh"

[ -x "$VENV/bin/python" ] || fail "not set up: run make setup"
rpc_url="${HIRELING_RPC_URL:-}"
previous=""
for argument in "$@"; do
    case "$argument" in --rpc-url=*) rpc_url="${argument#--rpc-url=}" ;; esac
    [ "$previous" != --rpc-url ] || rpc_url="$argument"
    previous="$argument"
done

if [ -n "${HIRELING_BROWNIE_HOME:-}" ]; then
    brownie_home="$HIRELING_BROWNIE_HOME"
else
    brownie_home="$(mktemp -d)"
    trap 'rm -rf "$brownie_home"' EXIT
fi
chmod 700 "$(mkdir -p "$brownie_home" && echo "$brownie_home")"
use_home "$brownie_home"

(umask 077; write_network chain "$rpc_url" "{}")
"$VENV/bin/python" -W ignore "$CONTRACTS/scripts/deploy.py" "$@"
