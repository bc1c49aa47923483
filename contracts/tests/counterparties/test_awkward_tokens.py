"""Tokens that take fees, call back, deny or answer badly: the escrow counts what came in, and no party blocks another."""

import pytest
from foreign_token import close, credit, opened
from rental import HOUR, NOBODY, USD
from signing import account_of
from world import call_object, rpc


@pytest.fixture
def awkward(world, counterparties, sender):
    """A token, still well-behaved, that the renter of a rental holds and has approved."""
    token = counterparties.token
    renter = sender(world.rental().renter)
    token.mint(renter, 1_000 * USD, {"from": world.relayer})
    token.approve(world.escrow, 1_000 * USD, {"from": renter})
    return token


class TestFunding:
    def test_refuses_a_token_that_takes_a_fee(self, world, awkward):
        awkward.takeFee(1, {"from": world.relayer})
        rental = world.rental()
        rental.token = awkward.address

        refusal = world.refusal(world.escrow.open, rental.terms, 10_000, rental.agreement_signature)

        assert refusal == ("RentalEscrow_InexactReceipt", 120 * USD - 12_000, 120 * USD)

    def test_no_account_holds_more_than_its_word_has_room_for(self, world, awkward, sender):
        """Else a token of endless supply would wind an account back to nothing."""
        rental = world.rental()
        payer, account, most = sender(rental.renter), account_of(rental.owner), 2**128 - 1
        awkward.mint(payer, most + 1, {"from": world.relayer})
        awkward.approve(world.escrow, 2**256 - 1, {"from": payer})
        world.escrow.deposit(awkward, account, most, {"from": payer})

        with pytest.raises(RuntimeError, match="overflow"):
            rpc(
                "eth_call",
                {"from": str(payer), **call_object(world.escrow.deposit, awkward, account, 1)},
                "latest",
            )

        assert credit(world, awkward, rental.owner) == most

    def test_refuses_a_token_that_answers_false(self, world, awkward):
        awkward.returnFalse({"from": world.relayer})
        rental = world.rental()
        rental.token = awkward.address

        refusal = world.refusal(world.escrow.open, rental.terms, 10_000, rental.agreement_signature)

        assert refusal == ("SafeERC20FailedOperation", awkward.address.lower())

    def test_accepts_a_token_that_answers_nothing(self, world, awkward):
        awkward.returnNothing({"from": world.relayer})

        rental = opened(world, awkward)

        assert world.slot(rental)[4] == 1

    def test_lets_no_hook_in(self, world, awkward):
        """A token that both calls back and takes a fee could otherwise have its fee made good by a deposit."""
        refill = world.escrow.deposit.encode_input(awkward, b"\x01" * 32, 1)
        awkward.callBack(world.escrow, refill, {"from": world.relayer})

        opened(world, awkward)

        assert awkward.hookSucceeded() is False


class TestPayout:
    @pytest.mark.parametrize("blocked", ["owner", "renter"])
    def test_a_denied_party_is_credited_and_the_other_is_paid(self, world, awkward, blocked):
        rental = opened(world, awkward)
        before = awkward.balanceOf(rental.renter.address)
        awkward.deny(getattr(rental, blocked).address, {"from": world.relayer})

        close(world, rental, 10 * USD)

        owed = {"owner": 9_750_000, "renter": 110 * USD}
        paid = {
            "owner": awkward.balanceOf(rental.owner.address),
            "renter": awkward.balanceOf(rental.renter.address) - before,
        }
        assert credit(world, awkward, getattr(rental, blocked)) == owed[blocked]
        assert paid == {**owed, blocked: 0}

    def test_a_denied_party_withdraws_to_another_address(self, world, awkward, sender):
        rental = opened(world, awkward)
        awkward.deny(rental.owner.address, {"from": world.relayer})
        close(world, rental, 10 * USD)

        withdrawal = (
            account_of(rental.owner),
            awkward,
            world.relayer,
            9_750_000,
            0,
            0,
            world.now + HOUR,
            b"",
        )
        world.escrow.withdraw(*withdrawal, {"from": sender(rental.owner)})

        assert awkward.balanceOf(world.relayer) == 9_750_000

    def test_a_transfer_that_answers_false_is_credited(self, world, awkward):
        rental = opened(world, awkward)
        awkward.returnFalse({"from": world.relayer})

        transaction = close(world, rental, 10 * USD)

        assert credit(world, awkward, rental.renter) == 110 * USD
        assert [(event["account"], event["amount"]) for event in transaction.events["Credited"]] == [
            ("0x" + account_of(rental.owner).hex(), 9_750_000),
            ("0x" + account_of(rental.renter).hex(), 110 * USD),
        ]

    def test_a_transfer_that_answers_nothing_counts(self, world, awkward):
        rental = opened(world, awkward)
        awkward.returnNothing({"from": world.relayer})

        close(world, rental, 10 * USD)

        assert awkward.balanceOf(rental.owner.address) == 9_750_000
        assert credit(world, awkward, rental.owner) == 0

    @pytest.mark.gas
    def test_a_megabyte_of_an_answer_is_not_read(self, world, awkward):
        rental = opened(world, awkward)
        awkward.returnMegabyte({"from": world.relayer})

        transaction = close(world, rental, 10 * USD)

        # The token burns about 2.2 M for each megabyte it makes; copying them would cost the escrow as much again.
        assert transaction.gas_used < 6_000_000
        assert awkward.balanceOf(rental.owner.address) == 9_750_000

    def test_no_hook_claims_twice(self, world, awkward):
        rental = opened(world, awkward)
        row = rental.claim(10 * USD, 10 * USD, 10 * USD)
        awkward.callBack(world.escrow, world.escrow.claim.encode_input(row, NOBODY), {"from": world.relayer})

        world.next_at(rental.starts + HOUR)
        world.escrow.claim(row, rental.owner.address, {"from": world.relayer})

        assert awkward.hookSucceeded() is False
        assert awkward.balanceOf(rental.owner.address) == 9_750_000
