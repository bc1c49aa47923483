"""See parties.tree: relayers send everything, and their own tokens are never touched."""

import pytest
from model import Status
from rental import HOUR, NOBODY, USD
from signing import Secp256k1Key, account_of, digest, domain, hash_struct

SALT = b"\x07" * 32
DESTINATION = Secp256k1Key("destination").address


def withdrawal(world, key, amount, tip, nonce, *, to=DESTINATION):
    values = {
        "account": account_of(key),
        "token": world.token.address,
        "to": to,
        "amount": amount,
        "tip": tip,
        "nonce": nonce,
        "valid_until": world.now + HOUR,
    }
    return (*values.values(), key.sign(digest(domain(world.escrow.address), "Withdraw", values)))


def close(world, rental, use, *, payees=(NOBODY, NOBODY)):
    until = world.now + HOUR
    sides = (rental.close(use, 0, until, rental.owner), rental.close(use, 0, until, rental.renter))
    return world.escrow.close(rental.terms, (use, 0, until), *sides, payees, {"from": world.relayer})


class TestIsGivenMoney:
    def test_by_anybody_who_has_tokens(self, world, funded):
        assert world.credit(funded) == 150 * USD

    def test_by_an_authorisation_that_somebody_else_sends(self, world, passkey):
        giver = Secp256k1Key("renter")
        nonce = hash_struct("Deposit", {"account": account_of(passkey), "salt": SALT})
        given = (world.token, giver.address, account_of(passkey), SALT, 9 * USD)

        world.escrow.depositWithAuthorization(
            *given, world.authorization(giver, 9 * USD, nonce), {"from": world.relayer}
        )

        assert world.credit(passkey) == 9 * USD


class TestRents:
    def test_from_its_balance_by_the_agreements_signature(self, world, funded, opened):
        assert world.slot(opened)[3:] == (10_000, Status.OPEN)
        assert world.credit(funded) == 30 * USD

    def test_a_share_and_then_the_rest(self, world, funded):
        rental = world.rental(renter=funded)
        world.escrow.openFromBalance(rental.terms, 4_000, rental.fund(4_000), {"from": world.relayer})
        after_opening = world.credit(funded)

        world.escrow.topUpFromBalance(rental.terms, 10_000, rental.fund(10_000), {"from": world.relayer})

        assert (after_opening, world.credit(funded)) == (90 * USD, 30 * USD)
        assert world.slot(rental)[3] == 10_000

    def test_and_exits(self, world, opened):
        transaction = world.escrow.exit(opened.terms, opened.exit(opened.renter), {"from": world.relayer})

        assert world.slot(opened)[2] == transaction.timestamp + opened.notice + opened.claim_window

    def test_and_disputes_by_a_word_given_long_before(self, world, opened):
        in_advance = opened.dispute()
        world.claimed(opened, 12 * USD, 15 * USD, 10 * USD)
        world.next_at(opened.dispute_by)

        world.escrow.dispute(opened.terms, in_advance, {"from": world.relayer})

        assert world.slot(opened)[4] == Status.OPEN | Status.DISPUTE

    def test_and_closes_and_has_the_rest_back(self, world, opened):
        close(world, opened, 40 * USD)

        assert world.slot(opened)[4] == Status.DONE
        assert world.credit(opened.renter) == 110 * USD
        assert world.credit(opened.owner) == 39 * USD

    def test_in_no_way_that_takes_tokens_from_an_address(self, world, funded):
        rental = world.rental(renter=funded)

        refusal = world.refusal(world.escrow.open, rental.terms, 10_000, rental.agreement_signature)

        assert refusal == ("RentalEscrow_NoAddressToPayFrom", account_of(funded))

    @pytest.mark.parametrize("named", ["verifier", "relayer"])
    def test_and_is_pushed_to_no_address(self, world, opened, verifier, named):
        address = {"verifier": verifier.address, "relayer": world.relayer.address}[named]
        until = world.now + HOUR
        sides = (opened.close(0, 0, until, opened.owner), opened.close(0, 0, until, opened.renter))

        refusal = world.refusal(world.escrow.close, opened.terms, (0, 0, until), *sides, (NOBODY, address))

        assert refusal == ("RentalEscrow_WrongPayee", address.lower())


class TestWithdraws:
    def test_with_a_tip_for_whoever_sends(self, world, funded):
        before = world.purse(world.relayer.address)

        world.escrow.withdraw(*withdrawal(world, funded, 149 * USD, USD, 0), {"from": world.relayer})

        assert world.purse(DESTINATION) == 149 * USD
        assert world.purse(world.relayer.address) - before == USD
        assert world.credit(funded) == 0

    def test_once_per_nonce(self, world, funded):
        once = withdrawal(world, funded, USD, 0, 0)
        world.escrow.withdraw(*once, {"from": world.relayer})

        assert world.refusal(world.escrow.withdraw, *once) == ("RentalEscrow_WrongNonce", 0, 1)

    def test_once_per_nonce_however_the_assertion_is_encoded(self, world, funded):
        """Bytes that nothing refers to may change without making the signature another."""
        once = withdrawal(world, funded, USD, 0, 0)
        world.escrow.withdraw(*once, {"from": world.relayer})

        assert world.refusal(world.escrow.withdraw, *once[:-1], once[-1] + bytes(32)) == (
            "RentalEscrow_WrongNonce",
            0,
            1,
        )

    @pytest.mark.parametrize("place", [2, 3, 4], ids=["to", "amount", "tip"])
    def test_nothing_that_it_did_not_sign(self, world, funded, place):
        changed = list(withdrawal(world, funded, USD, 0, 0))
        changed[place] = world.relayer.address if place == 2 else changed[place] + 1

        assert world.refusal(world.escrow.withdraw, *changed) == ("RentalEscrow_InvalidSignature",)


def test_a_whole_rental_moves_what_was_signed_to_the_unit(world, funded):
    """Deposit, open, top up, claim, exit, claim, close, withdraw: nothing but the passkey's account pays."""
    rental = world.rental(renter=funded, max_total=99_999_999, deposit=20_000_001)
    relayer = world.purse(world.relayer.address)

    world.escrow.openFromBalance(rental.terms, 5_000, rental.fund(5_000), {"from": world.relayer})
    world.escrow.topUpFromBalance(rental.terms, 10_000, rental.fund(10_000), {"from": world.relayer})
    world.claimed(rental, 12_345_678, 50 * USD, 11_111_111)
    world.escrow.exit(rental.terms, rental.exit(funded), {"from": world.relayer})
    world.claimed(rental, 23_456_789, 50 * USD, 23_456_789, seq=2)
    close(world, rental, 23_456_789)

    fee = 23_456_789 * 250 // 10_000
    left = 150 * USD - 23_456_789
    assert world.credit(rental.owner) == 23_456_789 - fee
    assert world.credit(rental.fee_to) == fee
    assert world.credit(funded) == left
    world.escrow.withdraw(*withdrawal(world, funded, left - 333, 333, 0), {"from": world.relayer})
    assert world.purse(DESTINATION) == left - 333
    assert world.purse(world.relayer.address) == relayer + 333
    assert world.credit(funded) == 0
    assert world.held == 23_456_789
