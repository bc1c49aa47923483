"""See arbitration.tree. Everybody is real but time: escrow, desk, panel, and the keys of all who sign."""

import pytest
from brownie import ArbiterPanel
from rental import NOBODY, USD
from signing import P256Key, Secp256k1Key

FIRST, SECOND, BROWSER = Secp256k1Key("first member"), Secp256k1Key("second member"), P256Key("third member")
PAYEES = (NOBODY, NOBODY)


@pytest.fixture
def rental(desk, contested, by):
    """A rental of which a tail of 2 is disputed and a deposit of 20 is claimed, raised with the panel."""
    rental = contested(arbiter=desk, dispute=True, damage=True)
    desk.raiseDispute(rental.terms, by)
    return rental


def dispute_of(desk, rental):
    return int(desk.disputeOf(rental.id)[0])


class TestRuling:
    @pytest.mark.parametrize("kind", ["addresses and a browser", "a wallet and a passkey"])
    def test_pays_both_sides_to_the_unit(self, world, board, desk, rental, sender, by, kind):
        dispute = dispute_of(desk, rental)
        # A third of the tail and a quarter of the deposit at stake, which is 18, to the owner.
        ruling = int(desk.rulingOf(3_333, 2_500))
        board.panel.vote(dispute, ruling, {"from": sender(FIRST)})
        signed = [board.vote(SECOND, dispute, ruling), board.vote(BROWSER, dispute, ruling)]
        if kind == "a wallet and a passkey":
            signed = [
                board.wallets_vote(dispute, ruling, sender=world.relayer),
                board.vote(board.passkey, dispute, ruling),
            ]
        board.panel.countVotes(dispute, ruling, signed, by)
        purses = [world.purse(key) for key in (rental.owner, rental.renter)]
        world.mine_at(rental.rule_from + 1)

        desk.carryOut(rental.terms, (rental.owner.address, rental.renter.address), by)

        # 10 were paid before, less 2.5 %; of the tail come 0.6666, of the deposit 4.5, and the owner's bond of 2 comes back.
        fee = (10 * USD + 666_600) * 250 // 10_000
        to_owner = 666_600 - (fee - 250_000) + 4_500_000 + 2 * USD
        to_renter = 90 * USD - 666_600 + 20 * USD - 4_500_000
        assert world.purse(rental.owner) == purses[0] + to_owner
        assert world.purse(rental.renter) == purses[1] + to_renter
        assert world.credit(rental.fee_to) == fee
        assert world.held == fee + world.credit(rental.owner)

    def test_refused_is_as_silence(self, world, board, desk, rental, by):
        dispute = dispute_of(desk, rental)
        board.panel.countVotes(
            dispute, 0, [board.vote(key, dispute, 0) for key in (FIRST, SECOND, BROWSER)], by
        )
        world.mine_at(rental.rule_from + 1)
        assert world.refusal(desk.carryOut, rental.terms, PAYEES) == ("ArbitrationDesk_NoRuling", rental.id)

        self.assert_silence_pays(world, rental, by)

    def test_that_too_few_agree_on_is_silence(self, world, board, desk, rental, by):
        dispute = dispute_of(desk, rental)
        for key, ruling in ((FIRST, 1), (SECOND, 1), (BROWSER, 2)):
            board.panel.countVotes(dispute, ruling, [board.vote(key, dispute, ruling)], by)

        self.assert_silence_pays(world, rental, by)

    @staticmethod
    def assert_silence_pays(world, rental, by):
        world.next_at(rental.rule_by + 1)
        world.escrow.settle(rental.terms, PAYEES, by)
        # All of the tail to the owner, all of the deposit to the renter, each bond back.
        assert world.credit(rental.owner) == 9_750_000 + 1_950_000 + rental.bond
        assert world.credit(rental.renter) == 88 * USD + 20 * USD


class TestSettlement:
    def test_before_the_panel_rules_ends_it(self, world, board, desk, rental, by):
        closing = (11 * USD, 4 * USD, rental.rule_from)
        event = desk.offer(rental.terms, closing, rental.close(*closing, rental.owner), by).events["Offered"]
        offered = bytes.fromhex(str(event["signature"]).removeprefix("0x"))
        accepted = rental.close(*event["closing"], rental.renter)

        world.escrow.close(rental.terms, tuple(event["closing"]), offered, accepted, PAYEES, by)

        assert world.credit(rental.owner) == 11 * USD - 275_000 + 4 * USD + rental.bond
        assert world.credit(rental.renter) == 89 * USD + 16 * USD
        # What the panel rules afterwards moves nothing.
        dispute = dispute_of(desk, rental)
        board.panel.countVotes(
            dispute, 1, [board.vote(key, dispute, 1) for key in (FIRST, SECOND, BROWSER)], by
        )
        world.mine_at(rental.rule_from + 1)
        assert world.refusal(desk.carryOut, rental.terms, PAYEES) == ("RentalEscrow_NotOpen", rental.id, 0)


class TestVotes:
    def test_count_for_one_rental_and_one_panel(self, world, board, desk, rental, contested, by, sender):
        dispute = dispute_of(desk, rental)
        votes = [board.vote(key, dispute, 1) for key in (FIRST, SECOND, BROWSER)]
        other = contested(arbiter=desk, dispute=True, salt=b"\x02" * 32)
        desk.raiseDispute(other.terms, by)
        # By an account of its own: Brownie knows a contract by its address, which another would get again.
        twin = sender(Secp256k1Key("a twin's deployer")).deploy(ArbiterPanel, board.signers, 3)
        raised = twin.createDispute(2, b"", by).events["DisputeCreation"]["disputeId"]

        refusals = [
            world.refusal(board.panel.countVotes, dispute_of(desk, other), 1, votes),
            world.refusal(twin.countVotes, raised, 1, [board.vote(FIRST, raised, 1)]),
        ]

        # What was signed for something else is by somebody else, who is no member.
        assert [name for name, _ in refusals] == ["ArbiterPanel_NotMember"] * 2
