"""See top_up.tree."""

import pytest
from model import Status
from rental import USD
from signing import Secp256k1Key, account_of


class TestTopUp:
    def test_takes_the_difference_from_a_renter_who_signed_fund(self, world):
        rental = world.opened(funded_bps=2_500)
        before = world.purse(rental.renter)

        transaction = world.escrow.topUp(rental.terms, 7_501, rental.fund(7_501), {"from": world.relayer})

        assert before - world.purse(rental.renter) == 75_010_000 - 25 * USD
        assert world.held == 75_010_000 + 20 * USD
        assert world.slot(rental)[3] == 7_501
        assert transaction.events["ToppedUp"] == {
            "rentalId": "0x" + rental.id.hex(),
            "prepaid": 75_010_000,
            "added": 75_010_000 - 25 * USD,
            "fundedBps": 7_501,
        }

    def test_takes_the_difference_from_a_sender_who_is_nobody_to_the_rental(self, world, sender):
        rental = world.opened(funded_bps=5_000)
        friend = sender(Secp256k1Key("friend"))
        world.token.mint(friend, 50 * USD, {"from": world.relayer})
        world.token.approve(world.escrow, 50 * USD, {"from": friend})

        world.escrow.topUp(rental.terms, 10_000, b"", {"from": friend})

        assert world.token.balanceOf(friend) == 0
        assert world.held == 120 * USD

    def test_pulls_by_permit(self, world):
        rental = world.opened(funded_bps=5_000)
        permit = world.permit(rental.renter, 2_000 * USD, world.now + 600)

        world.escrow.topUpWithPermit(
            rental.terms, 10_000, rental.fund(10_000), permit, {"from": world.relayer}
        )

        assert world.held == 120 * USD

    def test_pulls_by_authorization(self, world):
        rental = world.opened(funded_bps=5_000)
        authorization = world.authorization(rental.renter, 50 * USD, rental.fund_nonce(10_000))

        world.escrow.topUpWithAuthorization(
            rental.terms, 10_000, rental.fund(10_000), authorization, {"from": world.relayer}
        )

        assert world.held == 120 * USD

    def test_takes_it_from_the_balance(self, world, sender):
        rental = world.opened(funded_bps=5_000)
        world.escrow.deposit(
            world.token, account_of(rental.renter), 60 * USD, {"from": sender(rental.renter)}
        )

        world.escrow.topUpFromBalance(rental.terms, 10_000, rental.fund(10_000), {"from": world.relayer})

        assert world.credit(rental.renter) == 10 * USD


class TestRefuses:
    def test_a_fund_that_someone_else_signed(self, world):
        rental = world.opened(funded_bps=5_000)

        refusal = world.refusal(
            world.escrow.topUp, rental.terms, 6_000, rental.fund(6_000, key=rental.renter_agent)
        )

        assert refusal == ("RentalEscrow_Unauthorized", account_of(rental.renter_agent))

    @pytest.mark.parametrize("funded_bps", [4_999, 5_000, 10_001])
    def test_a_share_that_is_not_higher_or_too_high(self, world, funded_bps):
        rental = world.opened(funded_bps=5_000)

        refusal = world.refusal(world.escrow.topUp, rental.terms, funded_bps, rental.fund(funded_bps))

        assert refusal == ("RentalEscrow_FundedBpsOutOfRange", funded_bps, 5_001, 10_000)

    def test_a_rental_that_has_ended(self, world):
        rental = world.opened(funded_bps=5_000)
        world.mine_at(rental.end_by + 1)

        refusal = world.refusal(world.escrow.topUp, rental.terms, 6_000, rental.fund(6_000))

        assert refusal == ("RentalEscrow_Expired", rental.end_by + 1, rental.end_by)

    def test_a_rental_that_was_settled_in_part(self, world, nobody):
        rental = world.opened(funded_bps=5_000)
        world.claimed(rental, 10 * USD, 10 * USD, 5 * USD)
        world.next_at(rental.claim_by + 1)
        world.escrow.settle(rental.terms, nobody, {"from": world.relayer})

        refusal = world.refusal(world.escrow.topUp, rental.terms, 6_000, rental.fund(6_000))

        assert refusal == ("RentalEscrow_StatusForbids", rental.id, Status.OPEN | Status.SPLIT)

    def test_a_rental_that_never_opened(self, world):
        rental = world.rental()

        refusal = world.refusal(world.escrow.topUp, rental.terms, 6_000, rental.fund(6_000))

        assert refusal == ("RentalEscrow_NotOpen", rental.id, 0)
