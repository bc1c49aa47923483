"""Merkle trees that were built lately, within a bound of bytes."""

from collections import OrderedDict
from collections.abc import Callable, Sequence

from hireling.rental.merkle import Tree
from hireling.rental.typed_data import to_hex

# A million leaves: a dozen devices that reported every second of a day.
MOST_BYTES = 64 * 1024 * 1024


class Trees:
    """Remembers trees by their roots, and forgets those that were not asked for longest."""

    def __init__(self, *, most_bytes: int) -> None:
        self._most_bytes = most_bytes
        self._bytes = 0
        self._trees: OrderedDict[str, Tree] = OrderedDict()

    def find(self, root: str, *, with_leaf: bytes, build: Callable[[], Sequence[bytes]]) -> Tree:
        """Return the tree of this root, 0x-hex, which has this leaf; else that of the values that are built.

        A tree with another root than it should have is not remembered: whoever checks it finds out.
        """
        remembered = self._trees.get(root)
        if remembered is not None and with_leaf in remembered:
            self._trees.move_to_end(root)
            return remembered
        tree = Tree(build())
        if to_hex(tree.root) == root:
            self._remember(root, tree)
        return tree

    def _remember(self, root: str, tree: Tree) -> None:
        self._trees[root] = tree
        self._bytes += tree.size
        while self._bytes > self._most_bytes:
            _, forgotten = self._trees.popitem(last=False)
            self._bytes -= forgotten.size


# One for the process: a root names its tree, whichever database it is from.
TREES = Trees(most_bytes=MOST_BYTES)
