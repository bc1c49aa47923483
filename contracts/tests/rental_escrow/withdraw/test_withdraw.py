"""See withdraw.tree."""

import pytest
from rental import HOUR, USD
from signing import P256Key, Secp256k1Key, account_of, digest, domain

DESTINATION = Secp256k1Key("destination").address


@pytest.fixture(params=[Secp256k1Key("holder"), P256Key("passkey")], ids=["secp256k1", "p256"])
def holder(request, world, sender):
    """A key of either kind whose account holds 10."""
    payer = sender(Secp256k1Key("renter"))
    world.escrow.deposit(world.token, account_of(request.param), 10 * USD, {"from": payer})
    return request.param


def order(world, key, *, account=None, to=DESTINATION, amount=7 * USD, tip=USD, nonce=0, valid_until=None):
    valid_until = world.now + HOUR if valid_until is None else valid_until
    values = {
        "account": account or account_of(key),
        "token": world.token.address,
        "to": to,
        "amount": amount,
        "tip": tip,
        "nonce": nonce,
        "valid_until": valid_until,
    }
    signature = key.sign(digest(domain(world.escrow.address), "Withdraw", values))
    return (*values.values(), signature)


class TestWithdraw:
    def test_pays_the_address_that_was_signed_and_tips_the_sender(self, world, holder):
        world.escrow.withdraw(*order(world, holder), {"from": world.relayer})

        assert world.purse(DESTINATION) == 7 * USD
        assert world.purse(world.relayer.address) == USD
        assert world.credit(holder) == 2 * USD

    def test_tells_who_took_what_and_where_it_went(self, world, holder):
        transaction = world.escrow.withdraw(*order(world, holder), {"from": world.relayer})

        assert transaction.events["Withdrawn"] == {
            "account": "0x" + account_of(holder).hex(),
            "token": world.token.address,
            "to": DESTINATION,
            "amount": 7 * USD,
            "tip": USD,
        }

    def test_leaves_until_the_last_second_and_to_the_last_unit(self, world, holder):
        until = world.now + 10
        last = order(world, holder, amount=10 * USD, tip=0, valid_until=until)
        world.next_at(until)

        world.escrow.withdraw(*last, {"from": world.relayer})

        assert world.credit(holder) == 0

    def test_needs_no_signature_of_the_holder_itself(self, world, sender):
        key = Secp256k1Key("renter")
        world.escrow.deposit(world.token, account_of(key), 3 * USD, {"from": sender(key)})
        before = world.purse(key)

        withdrawal = (account_of(key), world.token, key.address, 3 * USD, 0, 0, world.now + HOUR, b"")
        world.escrow.withdraw(*withdrawal, {"from": sender(key)})

        assert world.purse(key) - before == 3 * USD

    def test_happens_once_per_signature(self, world, holder):
        once = order(world, holder, amount=USD, tip=0)
        world.escrow.withdraw(*once, {"from": world.relayer})

        refusal = world.refusal(world.escrow.withdraw, *once)

        assert refusal == ("RentalEscrow_WrongNonce", 0, 1)

    def test_takes_no_more_than_the_account_holds(self, world, holder):
        refusal = world.refusal(world.escrow.withdraw, *order(world, holder, amount=10 * USD, tip=1))

        assert refusal == ("RentalEscrow_BalanceTooLow", account_of(holder), 10 * USD, 10 * USD + 1)

    def test_expires(self, world, holder):
        late = order(world, holder, valid_until=world.now - 1)

        refusal = world.refusal(world.escrow.withdraw, *late)

        assert refusal == ("RentalEscrow_Expired", world.now, world.now - 1)

    def test_refuses_a_changed_order(self, world, holder):
        changed = list(order(world, holder))
        changed[2] = world.relayer.address

        refusal = world.refusal(world.escrow.withdraw, *changed)

        assert refusal[0] in {"RentalEscrow_Unauthorized", "RentalEscrow_InvalidSignature"}

    def test_takes_nothing_from_an_account_by_another_ones_word(self, world, holder):
        stranger = Secp256k1Key("stranger")
        stolen = order(world, stranger, account=account_of(holder))

        refusal = world.refusal(world.escrow.withdraw, *stolen)

        assert refusal == ("RentalEscrow_Unauthorized", account_of(stranger))

    def test_refuses_what_is_no_signature(self, world, holder):
        garbled = (*order(world, holder)[:-1], b"\x00" * 65)

        refusal = world.refusal(world.escrow.withdraw, *garbled)

        assert refusal == ("RentalEscrow_InvalidSignature",)
