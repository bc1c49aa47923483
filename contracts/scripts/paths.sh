# Where things are and what Brownie needs to find them. Sourced by the other scripts.

CONTRACTS="$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)"
ROOT="$(dirname "$CONTRACTS")"
VENV="$ROOT/.venv-contracts"
ANVIL_FOLDER="$CONTRACTS/node_modules/@foundry-rs/anvil-linux-amd64/bin"
SOLC_FOLDER="$CONTRACTS/cache/solcx"

# Brownie starts `anvil` by name, and the compiler wrapper starts `node` by name; setup.sh links one where the machine has none.
export PATH="$CONTRACTS/node_modules/.node/bin:$ANVIL_FOLDER:$PATH"
export SOLCX_BINARY_PATH="$SOLC_FOLDER"
export PYTHONDONTWRITEBYTECODE=1

# Brownie keeps its data in $HOME/.brownie and nowhere else, and two Brownies must not share it.
use_home() {
    mkdir -p "$1/.brownie"
    HOME="$(cd "$1" && pwd)"
    export HOME
}

# write_network NAME HOST CMD_SETTINGS_YAML
write_network() {
    cat > "$HOME/.brownie/network-config.yaml" <<EOF
live: []
development:
  - name: $1
    id: $1
    cmd: anvil
    host: "$2"
    cmd_settings: $3
EOF
}

free_port() {
    "$VENV/bin/python" -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])'
}

fail() {
    echo "contracts: $*" >&2
    exit 1
}
