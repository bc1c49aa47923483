"""See vote.tree."""

import pytest
from eth_abi import encode
from eth_utils import keccak
from signing import P256Key, Secp256k1Key, account_of, flip_p256, flip_secp256k1

FIRST, SECOND, BROWSER = Secp256k1Key("first member"), Secp256k1Key("second member"), P256Key("third member")
STRANGER = Secp256k1Key("renter")
NO_ACCOUNT = b"\x00" * 32


@pytest.fixture
def dispute(raised):
    return raised()


def ruling_of(board, dispute):
    """Return whether a dispute is ruled, and how."""
    _, is_ruled, _, ruling = board.panel.disputes(dispute)
    return is_ruled, int(ruling)


class TestCounts:
    def test_a_members_transaction(self, board, sender, dispute):
        told = board.panel.vote(dispute, 2, {"from": sender(FIRST)}).events["Voted"]

        assert (told["disputeId"], str(told["account"]), told["ruling"]) == (
            dispute,
            "0x" + account_of(FIRST).hex(),
            2,
        )
        assert board.panel.tallyOf(dispute, 2) == 1
        assert board.panel.voteOf(dispute, account_of(FIRST)) == 3
        assert ruling_of(board, dispute)[0] is False

    def test_signatures_of_every_kind_of_member(self, world, board, wilful, dispute, by):
        votes = [
            board.vote(BROWSER, dispute, 1),
            board.wallets_vote(dispute, 1, sender=world.relayer),
            board.vote(board.passkey, dispute, 1),
        ]

        board.panel.countVotes(dispute, 1, votes, by)

        assert ruling_of(board, dispute) == (True, 1)
        assert (wilful.arbitrable.rulings(), wilful.arbitrable.lastRuling()) == (1, 1)

    def test_transactions_and_signatures_together(self, board, wilful, sender, dispute, by):
        board.panel.vote(dispute, 2, {"from": sender(FIRST)})
        board.panel.countVotes(dispute, 2, [board.vote(BROWSER, dispute, 2)], by)

        board.panel.vote(dispute, 2, {"from": sender(SECOND)})

        assert wilful.arbitrable.lastRuling() == 2

    def test_a_refusal_to_rule(self, board, wilful, dispute, by):
        votes = [board.vote(key, dispute, 0) for key in (FIRST, SECOND, BROWSER)]

        board.panel.countVotes(dispute, 0, votes, by)

        assert ruling_of(board, dispute) == (True, 0)
        assert wilful.arbitrable.rulings() == 1

    def test_the_same_vote_once(self, board, sender, dispute, by):
        board.panel.vote(dispute, 1, {"from": sender(FIRST)})

        board.panel.countVotes(
            dispute, 1, [board.vote(FIRST, dispute, 1), board.vote(SECOND, dispute, 1)] * 2, by
        )

        assert board.panel.tallyOf(dispute, 1) == 2
        assert ruling_of(board, dispute)[0] is False

    def test_each_ruling_by_itself(self, board, dispute, by):
        for ruling, keys in ((1, (FIRST, SECOND)), (2, (BROWSER,))):
            board.panel.countVotes(dispute, ruling, [board.vote(key, dispute, ruling) for key in keys], by)

        assert [board.panel.tallyOf(dispute, ruling) for ruling in (0, 1, 2)] == [0, 2, 1]
        assert ruling_of(board, dispute)[0] is False


class TestRefuses:
    def test_what_was_never_raised(self, world, board, sender):
        by_transaction = world.refusal(board.panel.vote, 5, 1, sender=sender(FIRST))
        by_signature = world.refusal(board.panel.countVotes, 5, 1, [board.vote(FIRST, 5, 1)])

        assert by_transaction == by_signature == ("ArbiterPanel_NoSuchDispute", 5)

    def test_a_ruling_beyond_the_choices(self, world, board, dispute):
        refusal = world.refusal(board.panel.countVotes, dispute, 3, [board.vote(FIRST, dispute, 3)])

        assert refusal == ("ArbiterPanel_RulingOutOfRange", 3, 2)

    def test_another_vote_of_the_same_member(self, world, board, sender, dispute):
        board.panel.vote(dispute, 1, {"from": sender(FIRST)})

        refusal = world.refusal(board.panel.countVotes, dispute, 2, [board.vote(FIRST, dispute, 2)])

        assert refusal == ("ArbiterPanel_AlreadyVoted", account_of(FIRST), 1)

    def test_whoever_is_no_member(self, world, board, sender, dispute):
        by_transaction = world.refusal(board.panel.vote, dispute, 1, sender=sender(STRANGER))
        by_signature = world.refusal(board.panel.countVotes, dispute, 1, [board.vote(STRANGER, dispute, 1)])

        assert by_transaction == by_signature == ("ArbiterPanel_NotMember", account_of(STRANGER))

    def test_a_vote_after_the_ruling(self, world, board, wilful, dispute, by):
        votes = [board.vote(key, dispute, 1) for key in (FIRST, SECOND, BROWSER)]
        board.panel.countVotes(dispute, 1, votes, by)

        refusal = world.refusal(board.panel.countVotes, dispute, 1, votes)

        assert refusal == ("ArbiterPanel_AlreadyRuled", dispute, 1)
        assert wilful.arbitrable.rulings() == 1


class TestSignaturesBind:
    def test_to_dispute_ruling_panel_and_chain(self, world, board, raised, dispute):
        other = raised(about=b"another matter")
        elsewhere = [
            board.vote(BROWSER, other, 1),
            board.vote(BROWSER, dispute, 2),
            board.vote(BROWSER, dispute, 1, panel=world.escrow.address),
            board.vote(BROWSER, dispute, 1, chain_id=1),
        ]

        refusals = [world.refusal(board.panel.countVotes, dispute, 1, [vote]) for vote in elsewhere]

        assert refusals == [("ArbiterPanel_NotMember", NO_ACCOUNT)] * 4

    @pytest.mark.parametrize(("key", "flip"), [(FIRST, flip_secp256k1), (BROWSER, flip_p256)])
    def test_with_the_lower_s_only(self, world, board, dispute, key, flip):
        vote = board.vote(key, dispute, 1)

        refusal = world.refusal(board.panel.countVotes, dispute, 1, [flip(vote)])

        assert refusal == ("ArbiterPanel_NotMember", NO_ACCOUNT)

    def test_no_wallet_that_does_not_say_so(self, world, board, dispute):
        board.wallets_vote(dispute, 2, sender=world.relayer)
        vote = encode(["bytes", "bytes"], [board.wallets_signer, b""])

        assert world.refusal(board.panel.countVotes, dispute, 1, [vote]) == (
            "ArbiterPanel_NotMember",
            NO_ACCOUNT,
        )

    def test_no_code_that_is_no_member(self, world, board, counterparties, dispute):
        signer = bytes.fromhex(counterparties.verifier.address[2:]) + b"somebody's key"
        vote = encode(["bytes", "bytes"], [signer, b"somebody's key"])

        refusal = world.refusal(board.panel.countVotes, dispute, 1, [vote])

        assert refusal == ("ArbiterPanel_NotMember", keccak(signer))

    def test_nobody_by_an_empty_signature(self, world, board, sender, dispute):
        refusal = world.refusal(board.panel.countVotes, dispute, 1, [b""], sender=sender(FIRST))

        assert refusal == ("ArbiterPanel_NotMember", NO_ACCOUNT)


class TestWhoRaised:
    def test_is_let_in_nowhere_while_it_takes_the_ruling(self, board, wilful, dispute, by):
        votes = [board.vote(key, dispute, 1) for key in (FIRST, SECOND, BROWSER)]
        wilful.arbitrable.callBack(board.panel, board.panel.countVotes.encode_input(dispute, 1, votes), by)

        board.panel.countVotes(dispute, 1, votes, by)

        assert (wilful.arbitrable.rulings(), wilful.arbitrable.hasSucceeded()) == (1, False)
        assert (
            str(wilful.arbitrable.answer())
            == "0x" + keccak(text="ArbiterPanel_AlreadyRuled(uint256,uint256)")[:4].hex()
        )

    def test_that_takes_no_ruling_stops_its_own_dispute_alone(self, world, board, wilful, dispute, by):
        other = board.panel.createDispute(2, b"", by).events["DisputeCreation"]["disputeId"]
        wilful.arbitrable.refuse(by)
        votes = [board.vote(key, dispute, 1) for key in (FIRST, SECOND, BROWSER)]

        board.panel.countVotes(dispute, 1, votes[:2], by)
        with pytest.raises(AssertionError, match="not a known error"):
            world.refusal(board.panel.countVotes, dispute, 1, votes[2:])

        board.panel.countVotes(other, 1, [board.vote(key, other, 1) for key in (FIRST, SECOND)], by)
        assert [board.panel.tallyOf(each, 1) for each in (dispute, other)] == [2, 2]
