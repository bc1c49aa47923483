"""What the compiler made here: Brownie's artifacts, and what Brownie leaves out of them.

bin/solc records the compilation: its complete input, and where each contract's immutables lie.
"""

import json
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from eth_abi import decode, encode
from eth_abi.exceptions import EncodingError
from eth_utils import keccak

from deployment.errors import Refused

CONTRACTS = Path(__file__).resolve().parents[2]
ARTIFACTS = CONTRACTS / "build/contracts"
RECORD = CONTRACTS / "build/compilation"


@dataclass(frozen=True)
class Artifact:
    """One compiled contract."""

    name: str
    source_path: str
    abi: list[dict[str, Any]]
    creation: bytes
    runtime: bytes
    immutables: tuple[tuple[int, int], ...]
    """Where the constructor writes into the runtime code: (first byte, length)."""

    @cached_property
    def inputs(self) -> list[dict[str, Any]]:
        """Return the constructor's parameters."""
        found = [entry["inputs"] for entry in self.abi if entry["type"] == "constructor"]
        return list(found[0]) if found else []

    def init_code(self, values: dict[str, Any]) -> bytes:
        """Return the code that creates the contract with these arguments, by parameter name."""
        types = [_abi_type(parameter) for parameter in self.inputs]
        arguments = [values[parameter["name"]] for parameter in self.inputs]
        try:
            return self.creation + encode(types, [_from_json(*pair) for pair in zip(types, arguments, strict=True)])
        except (EncodingError, ValueError, TypeError) as error:
            raise Refused(f"{self.name}({', '.join(types)}): {error}") from error

    def error(self, data: bytes) -> str:
        """Return a custom error of the contract with its numbers, as a call reverted with it; nothing where it is another's."""
        for entry in self.abi:
            types = [_abi_type(parameter) for parameter in entry.get("inputs", [])]
            if entry["type"] == "error" and keccak(text=f"{entry['name']}({','.join(types)})")[:4] == data[:4]:
                return f"{entry['name']}({', '.join(map(str, decode(types, data[4:])))})"
        return ""

    def masked(self, code: bytes) -> bytes:
        """Return runtime code of this contract with zeros where the constructor writes."""
        bare = bytearray(code)
        for first, length in self.immutables:
            bare[first : first + length] = bytes(length)
        return bytes(bare)


def without_metadata(code: bytes) -> bytes:
    """Return the code without the CBOR that the compiler appends: the hash of sources and settings, comments included."""
    if len(code) < 2:
        return code
    length = int.from_bytes(code[-2:], "big") + 2
    is_metadata = length <= len(code) and 0xA1 <= code[-length] <= 0xA4
    return code[:-length] if is_metadata else code


def read_artifact(name: str) -> Artifact:
    """Read a contract's artifact. Raises Refused where it was not compiled here."""
    path = ARTIFACTS / f"{name}.json"
    if not path.exists() or not (RECORD / "input.json").exists():
        raise Refused("the contracts are not compiled: run contracts/scripts/setup.sh")
    artifact = json.loads(path.read_text())
    record = json.loads((RECORD / "contracts.json").read_text())
    compiled = record[f"{artifact['sourcePath']}:{name}"]
    runtime = bytes.fromhex(artifact["deployedBytecode"])
    if runtime.hex() != compiled["runtime"]:
        raise Refused(f"{name}'s artifact is of another compilation: delete contracts/build, then setup.sh")
    return Artifact(
        name=name,
        source_path=artifact["sourcePath"],
        abi=artifact["abi"],
        creation=bytes.fromhex(artifact["bytecode"]),
        runtime=runtime,
        immutables=tuple((first, length) for first, length in compiled["immutables"]),
    )


def is_compiled(name: str) -> bool:
    """Tell whether there is such a contract in this build."""
    return (ARTIFACTS / f"{name}.json").exists()


def build_id(artifacts: list[Artifact]) -> str:
    """Name the compiled contracts by what they are."""
    return keccak(b"".join(keccak(artifact.creation) for artifact in artifacts)).hex()


def compilation_input() -> dict[str, Any]:
    """Return the compiler's input, every source in it."""
    recorded: dict[str, Any] = json.loads((RECORD / "input.json").read_text())
    return recorded


def compiler_settings() -> dict[str, Any]:
    """Return what the bytecode depends on beside the sources."""
    settings = compilation_input()["settings"]
    version = json.loads((RECORD / "compiler.json").read_text())["version"]
    return {"version": version} | {key: value for key, value in settings.items() if key != "outputSelection"}


def _abi_type(parameter: dict[str, Any]) -> str:
    kind = str(parameter["type"])
    if not kind.startswith("tuple"):
        return kind
    members = ",".join(_abi_type(member) for member in parameter["components"])
    return f"({members}){kind[len('tuple') :]}"


def _from_json(kind: str, value: Any) -> Any:
    """JSON has no bytes: they are written as hexadecimal."""
    if kind.endswith("]"):
        return [_from_json(kind[: kind.rindex("[")], item) for item in value]
    return bytes.fromhex(str(value).removeprefix("0x")) if kind.startswith("bytes") else value
