"""See parties.tree: an owner, or whoever acts for it, with a passkey."""

import pytest
from model import Outcome, Status
from rental import HOUR, NOBODY, USD
from signing import Secp256k1Key, account_of, digest, domain
from webauthn import Passkey

SIDES = ["owner", "owner_agent"]
EVIDENCE = b"\x0e" * 32


def close_arguments(world, rental, use, damage, *, for_owner, for_renter):
    until = world.now + HOUR
    signed = [rental.close(use, damage, until, key) for key in (for_owner, for_renter)]
    return (rental.terms, (use, damage, until), *signed, (NOBODY, NOBODY))


class TestOwnersSide:
    @pytest.mark.parametrize("side", SIDES)
    def test_exits(self, world, passkey, side):
        rental = world.opened(**{side: passkey})

        world.escrow.exit(rental.terms, rental.exit(passkey), {"from": world.relayer})

        assert world.slot(rental)[2] < rental.claim_by

    @pytest.mark.parametrize("side", SIDES)
    def test_closes_and_the_owner_is_paid_into_its_balance(self, world, passkey, side):
        rental = world.opened(**{side: passkey})
        arguments = close_arguments(world, rental, 40 * USD, USD, for_owner=passkey, for_renter=rental.renter)

        world.escrow.close(*arguments, {"from": world.relayer})

        assert world.credit(rental.owner) == 40 * USD
        assert world.credit(rental.renter) == 79 * USD

    @pytest.mark.parametrize("side", SIDES)
    def test_claims_damage_for_the_owners_bond(self, world, passkey, sender, side):
        rental = world.opened(**{side: passkey})
        payer = sender(Secp256k1Key("renter"))
        world.escrow.deposit(world.token, account_of(rental.owner), 3 * USD, {"from": payer})
        signed = rental.damage(5 * USD, EVIDENCE, passkey)

        world.escrow.damage(rental.terms, 5 * USD, EVIDENCE, signed, {"from": world.relayer})

        assert world.slot(rental)[4] == Status.OPEN | Status.DAMAGE
        assert world.credit(rental.owner) == USD

    def test_withdraws_what_was_claimed(self, world, passkey):
        rental = world.opened(owner=passkey)
        world.claimed(rental, 40 * USD, 40 * USD, 40 * USD)
        values = {
            "account": account_of(passkey),
            "token": world.token.address,
            "to": Secp256k1Key("till").address,
            "amount": 38 * USD,
            "tip": USD,
            "nonce": 0,
            "valid_until": world.now + HOUR,
        }
        signed = passkey.sign(digest(domain(world.escrow.address), "Withdraw", values))

        world.escrow.withdraw(*values.values(), signed, {"from": world.relayer})

        assert world.purse(values["to"]) == 38 * USD
        assert world.credit(passkey) == 0

    def test_an_agent_withdraws_nothing_of_the_owners(self, world, passkey):
        rental = world.opened(owner_agent=passkey)
        world.claimed(rental, 40 * USD, 40 * USD, 40 * USD)
        values = {
            "account": account_of(rental.owner),
            "token": world.token.address,
            "to": world.relayer.address,
            "amount": USD,
            "tip": 0,
            "nonce": 0,
            "valid_until": world.now + HOUR,
        }
        signed = passkey.sign(digest(domain(world.escrow.address), "Withdraw", values))

        refusal = world.refusal(world.escrow.withdraw, *values.values(), signed)

        assert refusal == ("RentalEscrow_Unauthorized", account_of(passkey))

    def test_both_sides_may_be_passkeys_of_one_verifier(self, world, funded, verifier):
        owner = Passkey("owner's phone", verifier)
        rental = world.rental(renter=funded, owner=owner)
        world.escrow.openFromBalance(
            rental.terms, 10_000, rental.agreement_signature, {"from": world.relayer}
        )
        arguments = close_arguments(world, rental, 8 * USD, 0, for_owner=owner, for_renter=funded)

        world.escrow.close(*arguments, {"from": world.relayer})

        assert (world.credit(owner), world.credit(funded)) == (7_800_000, 142 * USD)


class TestStatelessKeysOnly:
    """A passkey's verifier is code: it is asked for the parties, never for what was measured and served."""

    def test_is_no_meter(self, world, passkey):
        rental = world.opened(meter=passkey)
        world.mine_at(rental.starts + HOUR)

        refusal = world.refusal(world.escrow.claim, rental.claim(USD, USD, USD), NOBODY)

        assert refusal == ("RentalEscrow_ClaimRefused", rental.id, Outcome.BAD_METER_SIGNATURE)

    def test_is_no_session_key_of_a_claim(self, world, passkey):
        rental = world.opened(renter_agent=passkey)
        world.mine_at(rental.starts + HOUR)

        refusal = world.refusal(world.escrow.claim, rental.claim(USD, USD, USD), NOBODY)

        assert refusal == ("RentalEscrow_ClaimRefused", rental.id, Outcome.BAD_RENTER_AGENT_SIGNATURE)

    def test_does_not_exit_as_the_session_key(self, world, passkey):
        rental = world.opened(renter_agent=passkey)

        refusal = world.refusal(world.escrow.exit, rental.terms, rental.exit(passkey))

        assert refusal == ("RentalEscrow_Unauthorized", account_of(passkey))

    def test_does_not_close_as_the_session_key(self, world, passkey):
        rental = world.opened(renter_agent=passkey)
        arguments = close_arguments(world, rental, 0, 0, for_owner=rental.owner, for_renter=passkey)

        refusal = world.refusal(world.escrow.close, *arguments)

        assert refusal == ("RentalEscrow_Unauthorized", account_of(passkey))
