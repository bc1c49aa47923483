"""Merkle trees over one to nine values, with every proof."""

from typing import Any

from hireling.rental.merkle import proof, root
from hireling.rental.signing import keccak256
from hireling.rental.typed_data import to_hex


def vectors() -> dict[str, Any]:
    """Return the vectors of trees: values are bytes32, leaves are keccak256(keccak256(value))."""
    return {"trees": [_vector(count) for count in (1, 2, 3, 4, 5, 9)]}


def _vector(count: int) -> dict[str, Any]:
    values = [keccak256(f"value {number}".encode()) for number in range(count)]
    return {
        "values": [to_hex(value) for value in values],
        "root": to_hex(root(values)),
        "proofs": [[to_hex(node) for node in proof(values, index)] for index in range(count)],
    }
