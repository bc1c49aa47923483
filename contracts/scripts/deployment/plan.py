"""What is deployed where: decided before anything is sent, and the same on every chain.

The deterministic deployment proxy creates by CREATE2, so an address follows from the proxy, a salt and the creation code with
its arguments (EIP-1014). Who deploys does not matter, and neither does its nonce.
"""

from dataclasses import dataclass
from functools import cached_property
from typing import Any

from eth_utils import keccak, to_checksum_address

from deployment.artifacts import Artifact, build_id, is_compiled, read_artifact
from deployment.errors import Refused

# https://github.com/Arachnid/deterministic-deployment-proxy
PROXY = "0x4e59b44847b379578588920cA78FbF26c0B4956C"
DEV_CHAIN_ID = 31337
# Key in the record, contract, and version of its salt, which only a deliberate second copy of the same code raises.
CATALOGUE = (
    ("escrow", "RentalEscrow", 1),
    ("registry", "DeviceRegistry", 1),
    ("anchor", "BatchAnchor", 1),
    ("panel", "ArbiterPanel", 1),
    ("desk", "ArbitrationDesk", 1),
    ("passkey_verifier", "PasskeyVerifier", 1),
)
# What constructors call each other: the parameter's name, and whose address it takes unless the operator says otherwise.
LINKS = {"rentals": "escrow", "ruledBy": "panel"}
# Worth nothing and mintable by anyone: never on a chain where others could take it for money.
PLAY_MONEY = ("token", "TestStablecoin", 1)


@dataclass(frozen=True, eq=False)
class Step:
    """One contract to be created."""

    key: str
    artifact: Artifact
    salt_name: str
    arguments: dict[str, Any]

    @property
    def salt(self) -> bytes:
        """Return the salt: the hash of its name, which carries a version."""
        return keccak(text=self.salt_name)

    @cached_property
    def init_code(self) -> bytes:
        """Return the creation code with its arguments."""
        return self.artifact.init_code(self.arguments)

    @cached_property
    def address(self) -> str:
        """Return where CREATE2 puts the contract."""
        packed = b"\xff" + bytes.fromhex(PROXY[2:]) + self.salt + keccak(self.init_code)
        return str(to_checksum_address(keccak(packed)[12:]))

    @property
    def payload(self) -> bytes:
        """Return what the proxy is sent."""
        return self.salt + self.init_code


@dataclass(frozen=True)
class Plan:
    """All contracts of one chain, in the order in which they are created."""

    steps: tuple[Step, ...]
    left_out: tuple[str, ...]
    """Contracts that have parameters nobody gave a value."""
    build: str
    """Names the compiled code of all, wherever and with whatever arguments it is deployed."""


def make_plan(chain_id: int, given: dict[str, dict[str, Any]]) -> Plan:
    """Plan a chain. A constructor's parameter takes what `given` says for its contract, else the address that it links to.

    Raises Refused where `given` names what does not exist.
    """
    entries = [entry for entry in CATALOGUE if is_compiled(entry[1])]
    if chain_id == DEV_CHAIN_ID:
        entries.append(PLAY_MONEY)
    unknown = set(given) - {name for _, name, _ in entries}
    if unknown:
        raise Refused(f"arguments for contracts that are not deployed here: {', '.join(sorted(unknown))}")
    steps: dict[str, Step] = {}
    left_out = []
    for key, name, version in entries:
        artifact = read_artifact(name)
        arguments = _arguments(artifact, steps, given.get(name, {}))
        if arguments is None:
            left_out.append(name)
        else:
            steps[key] = Step(key, artifact, f"hireling.{name}.v{version}", arguments)
    build = build_id([read_artifact(name) for _, name, _ in CATALOGUE if is_compiled(name)])
    return Plan(tuple(steps.values()), tuple(left_out), build)


def _arguments(artifact: Artifact, steps: dict[str, Step], given: dict[str, Any]) -> dict[str, Any] | None:
    """Return the constructor's arguments by name, or None where one has no value."""
    wanted = [parameter["name"] for parameter in artifact.inputs]
    extra = set(given) - set(wanted)
    if extra:
        raise Refused(f"{artifact.name} has no parameter {', '.join(sorted(extra))}: it has {', '.join(wanted) or 'none'}")
    linked = {name: steps[key].address for name, key in LINKS.items() if key in steps}
    values = linked | given
    return {name: values[name] for name in wanted} if all(name in values for name in wanted) else None
