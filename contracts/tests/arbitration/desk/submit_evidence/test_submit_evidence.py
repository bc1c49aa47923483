"""See submit_evidence.tree."""


class TestSubmitEvidence:
    def test_tells_who_said_what_of_which_rental(self, world, board, desk, by):
        rental = world.rental(arbiter=desk.address)

        told = desk.submitEvidence(rental.id, "ipfs://…/photo.jpg", by).events["Evidence"]

        assert (told["arbitrator"], told["party"]) == (board.panel.address, world.relayer)
        assert int(told["evidenceGroup"]) == int.from_bytes(rental.id, "big")
        assert told["evidence"] == "ipfs://…/photo.jpg"
