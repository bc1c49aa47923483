"""Merkle trees in OpenZeppelin's format."""

import pytest

from hireling.rental import merkle
from hireling.rental.errors import Malformed
from hireling.rental.merkle import leaf_hash, proof, root, verify
from hireling.rental.signing import keccak256

VALUES = [keccak256(bytes([number])) for number in range(7)]


class TestTree:
    def test_of_one_value_is_its_leaf(self) -> None:
        assert root(VALUES[:1]) == leaf_hash(VALUES[0]) == keccak256(keccak256(VALUES[0]))
        assert proof(VALUES[:1], 0) == ()

    def test_of_three_pairs_the_two_smaller_leaves_first(self) -> None:
        # Three leaves stand at places 4, 3, 2 of the array in rising order: 3 and 4 are siblings, 2 is
        # their uncle.
        low, middle, high = sorted(leaf_hash(value) for value in VALUES[:3])
        pair = keccak256(low + middle)
        assert root(VALUES[:3]) == keccak256(b"".join(sorted((pair, high))))

    def test_does_not_depend_on_the_order_of_values(self) -> None:
        assert root(VALUES) == root(VALUES[::-1])

    def test_refuses_to_be_empty(self) -> None:
        with pytest.raises(Malformed, match="at least one leaf"):
            root([])

    def test_refuses_a_value_of_another_length(self) -> None:
        with pytest.raises(Malformed, match="31 bytes, not 32"):
            root([bytes(31)])


class TestProof:
    @pytest.mark.parametrize("index", range(7))
    def test_shows_each_value_and_no_other(self, index: int) -> None:
        siblings = proof(VALUES, index)
        assert verify(root(VALUES), VALUES[index], siblings)
        assert not verify(root(VALUES), VALUES[(index + 1) % 7], siblings)

    def test_of_a_node_shows_no_value(self) -> None:
        """An inner node's two children, given as if they were a value, would need a leaf of 64 bytes."""
        inner = keccak256(b"".join(sorted(leaf_hash(value) for value in VALUES[:2])))
        assert not verify(inner, inner, ())


class TestOpenZeppelin:
    def test_makes_the_root_of_its_own_example(self) -> None:
        # README of github.com/OpenZeppelin/merkle-tree: two leaves of (address, uint256).
        leaves = [
            keccak256(keccak256(bytes(12) + bytes([digit]) * 20 + amount.to_bytes(32, "big")))
            for digit, amount in ((0x11, 5 * 10**18), (0x22, 25 * 10**17))
        ]
        published = "d4dee0beab2d53f2cc83e567171bd2820e49898130a22622b10ead383e90bd77"
        assert merkle._parent(*leaves).hex() == published
