"""A meter key's word for whom, for what and how long it measures."""

from typing import Any

from eth_utils import keccak
from rental import HOUR
from signing import Key, digest, domain
from world import World

METADATA = b"\x09" * 32


def possession(
    world: World,
    key: Key,
    owner: str,
    *,
    device: bytes | None = None,
    metadata: bytes = METADATA,
    **other: Any,
) -> tuple[int, bytes]:
    """Return a deadline and the key's Possession until then: of a device of its own, or to be another's next key.

    `other` may name another registry, chain_id or valid_until.
    """
    registry = other.get("registry", world.registry.address)
    valid_until = other.get("valid_until", world.now + HOUR)
    values = {
        "owner": owner,
        "registry": registry,
        "device": device or keccak(key.signer),
        "metadata": metadata,
        "valid_until": valid_until,
    }
    signed_in = domain(registry, chain_id=other.get("chain_id", 31337))
    return valid_until, key.sign(digest(signed_in, "Possession", values))


def register(world: World, key: Key, owner: str) -> Any:
    """Register a device of the key for an owner, and return the registry."""
    proof = possession(world, key, owner)
    world.registry.register(owner, key.signer, METADATA, *proof, {"from": world.relayer})
    return world.registry
