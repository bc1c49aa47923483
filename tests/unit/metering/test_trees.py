"""Trees that are remembered: the same ones, and not too many."""

from collections.abc import Callable, Sequence

import pytest

from hireling.rental import merkle
from hireling.rental.errors import Malformed
from hireling.rental.signing import keccak256
from hireling.rental.typed_data import to_hex
from services.metering.trees import Trees

SETS = [[keccak256(bytes([first, number])) for number in range(8)] for first in range(4)]
ROOTS = [to_hex(merkle.root(values)) for values in SETS]
TREE_BYTES = 15 * 32


class Builder:
    """Counts how often a tree was built."""

    def __init__(self) -> None:
        self.built: list[int] = []

    def of(self, number: int) -> Callable[[], Sequence[bytes]]:
        """Return what builds a tree's values."""

        def build() -> Sequence[bytes]:
            self.built.append(number)
            return SETS[number]

        return build

    def ask(self, trees: Trees, number: int) -> None:
        """Ask for a tree."""
        trees.find(ROOTS[number], with_leaf=SETS[number][0], build=self.of(number))


class TestTrees:
    def test_build_each_tree_once(self) -> None:
        trees, builder = Trees(most_bytes=4 * TREE_BYTES), Builder()
        for number in (0, 1, 0, 1, 0):
            builder.ask(trees, number)
        assert builder.built == [0, 1]

    def test_forget_what_was_not_asked_for_longest(self) -> None:
        trees, builder = Trees(most_bytes=2 * TREE_BYTES), Builder()
        for number in (0, 1, 0, 2, 0, 1):
            builder.ask(trees, number)
        assert builder.built == [0, 1, 2, 1]

    def test_hold_nothing_that_is_too_large(self) -> None:
        trees, builder = Trees(most_bytes=TREE_BYTES - 1), Builder()
        builder.ask(trees, 0)
        builder.ask(trees, 0)
        assert builder.built == [0, 0]

    def test_build_anew_where_a_leaf_is_missing_and_remember_no_false_tree(self) -> None:
        trees, builder = Trees(most_bytes=4 * TREE_BYTES), Builder()
        builder.ask(trees, 0)
        forged = trees.find(ROOTS[0], with_leaf=SETS[1][0], build=builder.of(1))
        assert to_hex(forged.root) == ROOTS[1]
        builder.ask(trees, 0)
        assert builder.built == [0, 1]


class TestTree:
    @pytest.mark.parametrize("leaves", [1, 2, 3, 7, 8, 100])
    def test_proves_every_value(self, leaves: int) -> None:
        values = [keccak256(bytes([number])) for number in range(leaves)]
        tree = merkle.Tree(values)
        assert tree.root == merkle.root(values)
        for index, value in enumerate(values):
            assert merkle.verify(tree.root, value, tree.proof(value))
            assert tree.proof(value) == merkle.proof(values, index)

    @pytest.mark.parametrize("leaves", [1, 2, 7])
    def test_has_no_other_value(self, leaves: int) -> None:
        tree = merkle.Tree([keccak256(bytes([number])) for number in range(leaves)])
        for stranger in (keccak256(b"low"), bytes(32), b"\xff" * 32):
            assert stranger not in tree
            with pytest.raises(Malformed, match="is not in the tree"):
                tree.proof(stranger)
