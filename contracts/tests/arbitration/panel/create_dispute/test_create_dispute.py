"""See create_dispute.tree."""

import pytest
from signing import Secp256k1Key

FIRST, SECOND = Secp256k1Key("first member"), Secp256k1Key("second member")
MOST = 2**256 - 2


class TestCreateDispute:
    def test_remembers_who_raised_what(self, board, wilful, raised):
        dispute = raised(choices=7)

        arbitrable, is_ruled, choices, _ = board.panel.disputes(dispute)
        assert (arbitrable, is_ruled, int(choices)) == (wilful.arbitrable.address, False, 7)

    def test_tells_so(self, board, wilful, by):
        told = wilful.arbitrable.raiseWith(board.panel, MOST, b"", by).events["DisputeCreation"]

        assert told["arbitrable"] == wilful.arbitrable.address
        assert board.panel.disputes(told["disputeId"])[2] == MOST

    def test_names_it_by_sender_choices_and_matter(self, world, board, raised):
        names = {
            raised(choices=2, about=b"a"),
            raised(choices=3, about=b"a"),
            raised(choices=2, about=b"b"),
            board.panel.createDispute(2, b"a", {"from": world.relayer}).events["DisputeCreation"][
                "disputeId"
            ],
        }

        assert len(names) == 4
        assert all(board.panel.disputes(name)[2] for name in names)

    def test_costs_nothing(self, world, board):
        assert board.panel.arbitrationCost(b"the matter") == 0
        assert world.refusal(board.panel.createDispute, 2, b"", wei=1) == ("ArbiterPanel_TakesNoFee", 1)

    @pytest.mark.parametrize("choices", [0, MOST + 1])
    def test_refuses_what_cannot_be_counted(self, world, board, choices):
        refusal = world.refusal(board.panel.createDispute, choices, b"")

        assert refusal == ("ArbiterPanel_ChoicesOutOfRange", choices, 1, MOST)

    @pytest.mark.parametrize("is_ruled", [False, True], ids=["open", "ruled"])
    def test_happens_once(self, world, board, wilful, raised, by, is_ruled):
        dispute = raised()
        if is_ruled:
            votes = [
                board.vote(FIRST, dispute, 1),
                board.vote(SECOND, dispute, 1),
                board.vote(board.passkey, dispute, 1),
            ]
            board.panel.countVotes(dispute, 1, votes, by)

        again = (wilful.arbitrable.raiseWith, board.panel, 2, b"the matter")

        assert world.refusal(*again) == ("ArbiterPanel_AlreadyRaised", dispute)
