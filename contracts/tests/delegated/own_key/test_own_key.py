"""See own_key.tree."""

import pytest
from delegation import NO_CODE, delegate
from model import Status
from rental import HOUR, NOBODY, USD
from signing import account_of, digest, domain

CODES = ["wallet", "obliging", "refusing", "burning"]


@pytest.fixture(params=CODES)
def delegated(request, world, codes, account):
    """The account's key; the account runs each of these in turn."""
    delegate(account, getattr(codes, request.param))
    return account


def close(world, rental, use):
    until = world.now + HOUR
    sides = (rental.close(use, 0, until, rental.owner), rental.close(use, 0, until, rental.renter))
    world.escrow.close(rental.terms, (use, 0, until), *sides, (NOBODY, NOBODY), {"from": world.relayer})


class TestCounts:
    def test_for_a_renter_who_opens_and_tops_up(self, world, delegated):
        rental = world.opened(renter=delegated, funded_bps=4_000)

        world.escrow.topUp(rental.terms, 10_000, rental.fund(10_000), {"from": world.relayer})

        assert world.slot(rental)[3:] == (10_000, Status.OPEN)
        assert world.purse(delegated) == 880 * USD

    def test_for_a_renter_who_disputes(self, world, delegated):
        rental = world.opened(renter=delegated)
        world.claimed(rental, 12 * USD, 15 * USD, 10 * USD)
        world.next_at(rental.claim_by + 1)

        world.escrow.dispute(rental.terms, rental.dispute(), {"from": world.relayer})

        assert world.slot(rental)[4] == Status.OPEN | Status.DISPUTE

    @pytest.mark.parametrize("party", ["renter", "owner", "owner_agent", "renter_agent"])
    def test_for_either_side_that_exits(self, world, delegated, party):
        rental = world.opened(**{party: delegated})

        world.escrow.exit(rental.terms, rental.exit(delegated), {"from": world.relayer})

        assert world.slot(rental)[2] < rental.claim_by

    @pytest.mark.parametrize("party", ["renter", "owner"])
    def test_for_either_side_that_closes(self, world, delegated, party):
        rental = world.opened(**{party: delegated})

        close(world, rental, 40 * USD)

        assert (world.credit(rental.owner), world.credit(rental.renter)) == (39 * USD, 80 * USD)

    @pytest.mark.parametrize("party", ["meter", "renter_agent"])
    def test_for_the_keys_of_a_claim_whose_code_is_never_asked(self, world, delegated, party):
        rental = world.opened(**{party: delegated})

        world.claimed(rental, 10 * USD, 10 * USD, 10 * USD)

        assert world.slot(rental)[0] == 10 * USD

    def test_for_who_withdraws(self, world, delegated, sender):
        world.escrow.deposit(world.token, account_of(delegated), 5 * USD, {"from": sender(delegated)})
        values = {
            "account": account_of(delegated),
            "token": world.token.address,
            "to": delegated.address,
            "amount": 4 * USD,
            "tip": USD,
            "nonce": 0,
            "valid_until": world.now + HOUR,
        }
        signed = delegated.sign(digest(domain(world.escrow.address), "Withdraw", values))

        world.escrow.withdraw(*values.values(), signed, {"from": world.relayer})

        assert world.purse(delegated) == 999 * USD

    def test_without_a_signature_where_it_sends_itself(self, world, delegated, sender):
        rental = world.rental(renter=delegated)

        world.escrow.open(rental.terms, 2_500, b"", {"from": sender(delegated)})
        world.escrow.exit(rental.terms, b"", {"from": sender(delegated)})

        assert world.slot(rental)[2] < rental.claim_by


class TestCountsThroughout:
    def test_delegations_made_changed_and_taken_away_in_the_middle(self, world, codes, account):
        rental = world.opened(renter=account, fund_delay=2 * HOUR)
        delegate(account, codes.wallet)
        world.claimed(rental, 10 * USD, 50 * USD, 10 * USD)
        delegate(account, codes.refusing)
        world.escrow.exit(rental.terms, rental.exit(account), {"from": world.relayer})
        delegate(account, NO_CODE)
        close(world, rental, 10 * USD)

        assert world.slot(rental)[4] == Status.DONE
        assert world.credit(account) == 110 * USD

    def test_a_word_given_before_the_delegation(self, world, codes, account):
        rental = world.opened(renter=account)
        given_before = rental.exit(account)
        delegate(account, codes.burning)

        world.escrow.exit(rental.terms, given_before, {"from": world.relayer})

        assert world.slot(rental)[2] < rental.claim_by


class TestPays:
    def test_by_permit(self, world, delegated, sender):
        world.token.approve(world.escrow, 0, {"from": sender(delegated)})
        rental = world.rental(renter=delegated)
        permit = world.permit(delegated, 120 * USD, world.now + HOUR)

        world.escrow.openWithPermit(
            rental.terms, 10_000, rental.agreement_signature, permit, {"from": world.relayer}
        )

        assert world.purse(delegated) == 880 * USD

    def test_by_authorisation(self, world, delegated):
        rental = world.rental(renter=delegated)
        given = world.authorization(delegated, 120 * USD, rental.fund_nonce(10_000))

        world.escrow.openWithAuthorization(
            rental.terms, 10_000, rental.agreement_signature, given, {"from": world.relayer}
        )

        assert world.purse(delegated) == 880 * USD
