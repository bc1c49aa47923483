"""The file that names a chain's contracts, which the platform and whoever verifies read."""

import json
import os
from pathlib import Path
from typing import Any

from eth_utils import keccak

from deployment.artifacts import CONTRACTS, compilation_input, compiler_settings
from deployment.errors import Refused
from deployment.node import Node, NodeError
from deployment.plan import DEV_CHAIN_ID, PROXY, Plan, Step
from deployment.verifying import is_deployed


def default_path(chain_id: int) -> Path:
    """Return where a chain's record is kept with the sources."""
    return CONTRACTS / "deployments" / f"{chain_id}.json"


def read_record(path: Path) -> dict[str, Any] | None:
    """Return what the file says, None where there is none."""
    return json.loads(path.read_text()) if path.exists() else None


def describes_living(node: Node, known: dict[str, Any]) -> bool:
    """Tell whether the chain holds the very code that a record names."""
    if known["chain_id"] != node.chain_id():
        return False
    return all(code_hash(node.code(known[key])) == expected for key, expected in known["code_hashes"].items())


def compose(node: Node, plan: Plan, *, block: int, deployer: str, token: str | None) -> dict[str, Any]:
    """Return the record of what lies on the chain now."""
    addresses = {step.key: step.address for step in plan.steps}
    return addresses | ({"token": token} if token else {}) | {
        "chain_id": node.chain_id(),
        "block": block,
        "build": plan.build,
        "code_hashes": {step.key: code_hash(node.code(step.address)) for step in plan.steps},
        "compiler": compiler_settings(),
        "contracts": {step.key: _describe(step) for step in plan.steps},
        "deployer": deployer,
        "proxy": PROXY,
    }


def first_block(node: Node, plan: Plan) -> int:
    """Return the first block in which any of the contracts lies, by halving.

    Raises Refused where the node has forgotten what it must look at; a development chain is then read from its start.
    """
    low, high = 0, node.height()
    try:
        while low < high:
            middle = (low + high) // 2
            if any(node.code(step.address, middle) for step in plan.steps):
                high = middle
            else:
                low = middle + 1
    except NodeError as error:
        if node.chain_id() == DEV_CHAIN_ID:
            return 0
        raise Refused(f"the node forgets old blocks ({error}): name the first one with --first-block") from error
    return high


def write_atomically(path: Path, content: dict[str, Any]) -> None:
    """Write all of the file or nothing of it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    draft = path.with_suffix(f".{os.getpid()}.tmp")
    with draft.open("w") as file:
        file.write(json.dumps(content, indent=2, sort_keys=True) + "\n")
        file.flush()
        os.fsync(file.fileno())
    draft.replace(path)


def write_standard_json(folder: Path, plan: Plan) -> list[Path]:
    """Write what a block explorer asks for: the compiler's input, and each contract's name and encoded arguments."""
    content = compilation_input()
    content["settings"]["outputSelection"] = {"*": {"*": ["abi", "evm.bytecode", "evm.deployedBytecode", "metadata"]}}
    contracts = {
        step.artifact.name: {
            "address": step.address,
            "contract": f"{step.artifact.source_path}:{step.artifact.name}",
            "constructor_arguments": step.init_code[len(step.artifact.creation) :].hex(),
            "compiler_version": f"v{compiler_settings()['version']}".removesuffix(".Emscripten.clang"),
        }
        for step in plan.steps
    }
    written = [folder / "standard-input.json", folder / "contracts.json"]
    for path, document in zip(written, (content, contracts), strict=True):
        write_atomically(path, document)
    return written


def code_hash(code: bytes) -> str:
    """Return what EXTCODEHASH answers for the code."""
    return "0x" + keccak(code).hex()


def is_complete(node: Node, plan: Plan) -> bool:
    """Tell whether every contract of the plan is there."""
    return all(is_deployed(node, step) for step in plan.steps)


def _describe(step: Step) -> dict[str, Any]:
    return {
        "name": step.artifact.name,
        "address": step.address,
        "arguments": step.arguments,
        "init_code_hash": code_hash(step.init_code),
        "salt": "0x" + step.salt.hex(),
        "salt_name": step.salt_name,
    }
