"""See anchor.tree. The trees are the vectors that the agents' own implementation is held to."""

import json
from pathlib import Path

import pytest
from eth_utils import keccak

TREES = json.loads((Path(__file__).parents[4] / "tests/vectors/merkle.json").read_text())["trees"]
DAY = 20_450
STREAM = b"readings".ljust(28, b"\x00")
READINGS, NEXT_DAY = (STREAM + day.to_bytes(4, "big") for day in (DAY, DAY + 1))
# No zero byte, so that the dearest name is measured.
FULL = b"\xab" * 32
ROOT = keccak(text="root")


@pytest.fixture
def publisher(world):
    return {"from": world.relayer}


class TestAnnounce:
    def test_tells_who_what_and_which(self, world, anchor, publisher):
        told = anchor.announce(READINGS, ROOT, publisher).events["RootAnnounced"]

        assert told["publisher"] == world.relayer
        assert str(told["batch"]) == "0x" + READINGS.hex() == str(anchor.batchOf(STREAM, DAY))
        assert str(told["root"]) == "0x" + ROOT.hex()

    def test_stores_nothing(self, world, anchor, publisher):
        anchor.announce(READINGS, ROOT, publisher)

        assert int(str(anchor.rootOf(world.relayer, READINGS)), 16) == 0

    @pytest.mark.gas
    def test_costs_at_most_24_000_gas(self, anchor, publisher):
        assert anchor.announce(FULL, ROOT, publisher).gas_used <= 24_000


class TestAnchor:
    def test_stores_the_root_under_sender_and_batch_alone(self, world, anchor, publisher):
        anchor.anchor(READINGS, ROOT, publisher)

        roots = [
            anchor.rootOf(world.relayer, READINGS),
            anchor.rootOf(anchor, READINGS),
            anchor.rootOf(world.relayer, NEXT_DAY),
        ]
        assert [int(str(root), 16) for root in roots] == [int.from_bytes(ROOT, "big"), 0, 0]

    def test_tells_so(self, world, anchor, publisher):
        told = anchor.anchor(READINGS, ROOT, publisher).events["RootAnchored"]

        assert told["publisher"] == world.relayer
        assert str(told["batch"]) == "0x" + READINGS.hex()

    @pytest.mark.gas
    def test_costs_at_most_46_000_gas(self, anchor, publisher):
        assert anchor.anchor(FULL, ROOT, publisher).gas_used <= 46_000

    @pytest.mark.parametrize("again", [ROOT, keccak(text="another")], ids=["same", "other"])
    def test_never_replaces_a_root(self, world, anchor, publisher, again):
        anchor.anchor(READINGS, ROOT, publisher)

        refusal = world.refusal(anchor.anchor, READINGS, again)

        assert refusal == ("BatchAnchor_AlreadyAnchored", world.relayer.address.lower(), READINGS, ROOT)

    def test_refuses_the_root_that_means_none(self, world, anchor):
        assert world.refusal(anchor.anchor, READINGS, b"\x00" * 32) == ("BatchAnchor_ZeroRoot",)


class TestInclusion:
    @pytest.mark.parametrize("tree", TREES, ids=lambda tree: f"{len(tree['values'])} values")
    def test_holds_for_every_value_of_a_standard_tree(self, world, anchor, publisher, tree):
        anchor.anchor(READINGS, tree["root"], publisher)

        answers = world.read(
            *(
                (anchor.isAnchored, world.relayer, READINGS, value, proof)
                for value, proof in zip(tree["values"], tree["proofs"], strict=True)
            )
        )

        assert answers == [True] * len(tree["values"])

    def test_holds_for_nothing_else(self, world, anchor, publisher):
        tree = TREES[-1]
        value, proof = tree["values"][0], tree["proofs"][0]
        anchor.anchor(READINGS, tree["root"], publisher)

        answers = world.read(
            (anchor.isAnchored, world.relayer, READINGS, tree["values"][1], proof),
            (anchor.isAnchored, world.relayer, READINGS, value, proof[:-1]),
            (anchor.isAnchored, anchor, READINGS, value, proof),
            (anchor.isAnchored, world.relayer, NEXT_DAY, value, proof),
            (anchor.contains, ROOT, value, proof),
        )

        assert answers == [False] * 5

    def test_holds_for_a_root_that_was_announced(self, anchor):
        tree = TREES[-1]

        assert anchor.contains(tree["root"], tree["values"][3], tree["proofs"][3])

    def test_takes_no_inner_node_for_a_leaf(self, world, anchor):
        tree = next(each for each in TREES if len(each["values"]) == 3)
        proof = max(tree["proofs"], key=len)
        value = tree["values"][tree["proofs"].index(proof)]
        leaf = keccak(keccak(bytes.fromhex(value[2:])))
        sibling = bytes.fromhex(proof[0][2:])
        node = keccak(min(leaf, sibling) + max(leaf, sibling))

        assert not anchor.contains(tree["root"], node, proof[1:])

    def test_takes_no_empty_proof_where_nothing_is_anchored(self, world, anchor):
        assert not anchor.isAnchored(world.relayer, READINGS, b"\x00" * 32, [])
