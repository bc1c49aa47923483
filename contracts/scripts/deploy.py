"""Deploy the test stablecoin, the device registry and the rental escrow to a running development chain.

deploy.sh calls it with an own HOME whose network-config.yaml has one development network, `chain`. The first unlocked account
of the chain deploys.
"""

import contextlib
import hashlib
import json
import os
import sys
from pathlib import Path
from typing import Any

import requests

CONTRACTS = Path(__file__).resolve().parent.parent
NAMES = {"token": "TestStablecoin", "registry": "DeviceRegistry", "escrow": "RentalEscrow"}
RPC_TIMEOUT_SECONDS = 10


def main(rpc_url: str, out_json: Path) -> None:
    build = build_id()
    known = json.loads(out_json.read_text()) if out_json.exists() else None
    if known is not None and is_deployed(rpc_url, known):
        if known["build"] != build:
            print(
                "deploy: this chain holds contracts of another build; its rentals stay there", file=sys.stderr
            )
        return
    deployment = deploy(rpc_url) | {"build": build}
    write_atomically(out_json, json.dumps(deployment, indent=2, sort_keys=True) + "\n")
    print(json.dumps(deployment))


def deploy(rpc_url: str) -> dict[str, Any]:
    """Deploy all three contracts; return their addresses with the chain they are on."""
    # Imported late: it reads HOME when it loads, and takes two seconds that an up-to-date chain need not wait for.
    from brownie import accounts, network, project

    loaded = project.load(CONTRACTS, "HirelingContracts")
    # Without launch_rpc Brownie leaves the chain's process alone, wherever that runs.
    network.connect("chain", launch_rpc=False)
    network.priority_fee("1 gwei")
    deployer = accounts[0]
    with contextlib.redirect_stdout(sys.stderr):
        contracts = {key: deployer.deploy(getattr(loaded, name)) for key, name in NAMES.items()}
    addresses = {key: contract.address for key, contract in contracts.items()}
    return addresses | {
        "block": min(contract.tx.block_number for contract in contracts.values()),
        "chain_id": int(call(rpc_url, "eth_chainId", []), 16),
        "code_hashes": {key: code_hash(rpc_url, address) for key, address in addresses.items()},
        "deployer": deployer.address,
    }


def is_deployed(rpc_url: str, known: dict[str, Any]) -> bool:
    """Tell whether the chain is the one that is known and holds the very code that was deployed."""
    if int(call(rpc_url, "eth_chainId", []), 16) != known["chain_id"]:
        return False
    return all(code_hash(rpc_url, known[key]) == known["code_hashes"][key] for key in NAMES)


def code_hash(rpc_url: str, address: str) -> str:
    return hashlib.sha256(call(rpc_url, "eth_getCode", [address, "latest"]).encode()).hexdigest()


def build_id() -> str:
    """Name the compiled contracts by what they are."""
    artifacts = [
        json.loads((CONTRACTS / f"build/contracts/{name}.json").read_text()) for name in NAMES.values()
    ]
    return hashlib.sha256("".join(artifact["bytecode"] for artifact in artifacts).encode()).hexdigest()


def call(rpc_url: str, method: str, params: list[Any]) -> Any:
    request = {"jsonrpc": "2.0", "id": 1, "method": method, "params": params}
    response = requests.post(rpc_url, json=request, timeout=RPC_TIMEOUT_SECONDS)
    response.raise_for_status()
    answer = response.json()
    if "error" in answer:
        raise RuntimeError(f"{method}: {answer['error']}")
    return answer["result"]


def write_atomically(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    draft = path.with_suffix(f".{os.getpid()}.tmp")
    draft.write_text(text)
    draft.replace(path)


if __name__ == "__main__":
    main(sys.argv[1], Path(sys.argv[2]))
