"""Merkle trees as OpenZeppelin's StandardMerkleTree builds them, over leaves of one bytes32 each.

Source: https://github.com/OpenZeppelin/merkle-tree (leaves ABI-encoded and hashed twice, sorted, packed into
a complete binary tree from its end, children hashed in sorted order), so that any of its verifiers,
Solidity's MerkleProof among them, checks a proof. A leaf is hashed twice and a node once: neither can pass
for the other.
"""

from bisect import bisect_right
from collections.abc import Sequence

from hireling.rental.errors import Malformed
from hireling.rental.hashing import keccak256


def leaf_hash(value: bytes) -> bytes:
    """Return the tree's leaf for a 32-byte value: Keccak-256, twice."""
    if len(value) != 32:
        raise Malformed("bad_leaf", f"a leaf of {len(value)} bytes, not 32")
    return keccak256(keccak256(value))


class Tree:
    """A tree that is built once, for many proofs: 64 bytes a value. Raises Malformed for none."""

    def __init__(self, values: Sequence[bytes]) -> None:
        self._nodes = b"".join(_tree(values))
        self._leaves = len(values)

    @property
    def root(self) -> bytes:
        """Return the root."""
        return self._node(0)

    @property
    def size(self) -> int:
        """Return how many bytes it takes."""
        return len(self._nodes)

    def __contains__(self, value: bytes) -> bool:
        """Return whether a value is in the tree."""
        return self._place(value) is not None

    def proof(self, value: bytes) -> tuple[bytes, ...]:
        """Return the siblings, from the leaf up, that prove a value to be in the tree. Raises Malformed."""
        place = self._place(value)
        if place is None:
            raise Malformed("no_such_leaf", f"0x{value.hex()} is not in the tree of 0x{self.root.hex()}")
        siblings = []
        while place > 0:
            siblings.append(self._node(place + 1 if place % 2 else place - 1))
            place = (place - 1) // 2
        return tuple(siblings)

    def _place(self, value: bytes) -> int | None:
        leaf, first, end = leaf_hash(value), self._leaves - 1, 2 * self._leaves - 1
        # Leaves fall from the first to the last: none before this place is as low as ours.
        place = bisect_right(range(end), 0, first, end, key=lambda at: self._node(at) <= leaf)
        return place if place < end and self._node(place) == leaf else None

    def _node(self, place: int) -> bytes:
        return self._nodes[32 * place : 32 * place + 32]


def root(values: Sequence[bytes]) -> bytes:
    """Return the root over 32-byte values, in any order. Raises Malformed for none."""
    return _tree(values)[0]


def proof(values: Sequence[bytes], index: int) -> tuple[bytes, ...]:
    """Return the siblings, from the leaf up, that prove the value at ``index`` to be in the tree."""
    return Tree(values).proof(values[index])


def verify(root: bytes, value: bytes, proof: Sequence[bytes]) -> bool:
    """Return whether ``proof`` shows that ``value`` is in the tree of ``root``."""
    node = leaf_hash(value)
    for sibling in proof:
        node = _parent(node, sibling)
    return node == root


def _tree(values: Sequence[bytes]) -> list[bytes]:
    """Return all nodes.

    The root first, the children of node i at 2i + 1 and 2i + 2, sorted leaves from the end.
    """
    if not values:
        raise Malformed("no_leaves", "a tree needs at least one leaf")
    leaves = sorted(leaf_hash(value) for value in values)
    tree = [b""] * (len(leaves) - 1) + leaves[::-1]
    for node in range(len(leaves) - 2, -1, -1):
        tree[node] = _parent(tree[2 * node + 1], tree[2 * node + 2])
    return tree


def _parent(left: bytes, right: bytes) -> bytes:
    return keccak256(left + right if left < right else right + left)
