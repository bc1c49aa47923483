"""Trees of any size: each leaf has its proof, and nothing else has one."""

import random

from hypothesis import given
from hypothesis import strategies as st

from hireling.rental.merkle import leaf_hash, proof, root, verify

WORDS = st.binary(min_size=32, max_size=32)
# Odd counts, one leaf and powers of two are all met.
LEAVES = st.lists(WORDS, min_size=1, max_size=40, unique=True)


@given(values=LEAVES)
def test_every_leaf_is_proven(values: list[bytes]) -> None:
    top = root(values)
    assert all(verify(top, value, proof(values, index)) for index, value in enumerate(values))


@given(values=LEAVES, stranger=WORDS, data=st.data())
def test_no_leafs_path_proves_a_stranger(values: list[bytes], stranger: bytes, data: st.DataObject) -> None:
    index = data.draw(st.integers(min_value=0, max_value=len(values) - 1))
    assert verify(root(values), stranger, proof(values, index)) == (stranger == values[index])


@given(values=LEAVES, seed=st.integers())
def test_the_order_of_leaves_does_not_matter(values: list[bytes], seed: int) -> None:
    shuffled = list(values)
    random.Random(seed).shuffle(shuffled)
    assert root(shuffled) == root(values)


@given(values=LEAVES, data=st.data())
def test_one_bit_of_a_path_breaks_it(values: list[bytes], data: st.DataObject) -> None:
    index = data.draw(st.integers(min_value=0, max_value=len(values) - 1))
    path = list(proof(values, index))
    if not path:
        assert root(values) == leaf_hash(values[0])
        return
    place = data.draw(st.integers(min_value=0, max_value=len(path) - 1))
    bit = data.draw(st.integers(min_value=0, max_value=255))
    path[place] = (int.from_bytes(path[place]) ^ 1 << bit).to_bytes(32)
    assert not verify(root(values), values[index], path)


@given(values=st.lists(WORDS, min_size=2, max_size=40, unique=True))
def test_no_inner_node_passes_for_a_leaf(values: list[bytes]) -> None:
    # The sibling nearest to the root is an inner node or a leaf's hash, and a value of neither.
    path = proof(values, 0)
    assert not verify(root(values), path[-1], path[:-1])
