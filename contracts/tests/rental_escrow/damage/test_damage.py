"""See damage.tree."""

import pytest
from rental import USD
from signing import account_of

EVIDENCE = b"\x07" * 32


@pytest.fixture
def bonded(world, sender):
    """A rental whose owner holds a bond inside the escrow."""
    rental = world.opened()
    owner = sender(rental.owner)
    world.token.mint(owner, rental.bond, {"from": world.relayer})
    world.token.approve(world.escrow, rental.bond, {"from": owner})
    world.escrow.deposit(world.token, account_of(rental.owner), rental.bond, {"from": owner})
    return rental


class TestDamage:
    @pytest.mark.parametrize("key", ["owner", "owner_agent"])
    def test_claimed_by_the_owners_side_takes_its_bond(self, world, bonded, key):
        signature = bonded.damage(3 * USD, EVIDENCE, getattr(bonded, key))
        world.next_at(bonded.claim_by)

        transaction = world.escrow.damage(bonded.terms, 3 * USD, EVIDENCE, signature, {"from": world.relayer})

        assert world.slot(bonded)[4] == 1 | 2
        assert world.credit(bonded.owner) == 0
        assert transaction.events["DamageClaimed"] == {
            "rentalId": "0x" + bonded.id.hex(),
            "amount": 3 * USD,
            "evidence": "0x" + EVIDENCE.hex(),
        }


class TestRefuses:
    def test_a_second_claim(self, world, bonded):
        signature = bonded.damage(USD, EVIDENCE, bonded.owner)
        world.escrow.damage(bonded.terms, USD, EVIDENCE, signature, {"from": world.relayer})

        refusal = world.refusal(world.escrow.damage, bonded.terms, USD, EVIDENCE, signature)

        assert refusal == ("RentalEscrow_StatusForbids", bonded.id, 1 | 2)

    def test_a_claim_after_claim_by(self, world, bonded):
        world.mine_at(bonded.claim_by + 1)
        signature = bonded.damage(USD, EVIDENCE, bonded.owner)

        refusal = world.refusal(world.escrow.damage, bonded.terms, USD, EVIDENCE, signature)

        assert refusal == ("RentalEscrow_Expired", bonded.claim_by + 1, bonded.claim_by)

    @pytest.mark.parametrize("amount", [0, 20 * USD + 1])
    def test_an_amount_outside_the_deposit(self, world, bonded, amount):
        signature = bonded.damage(amount, EVIDENCE, bonded.owner)

        refusal = world.refusal(world.escrow.damage, bonded.terms, amount, EVIDENCE, signature)

        assert refusal == ("RentalEscrow_AmountOutOfRange", amount, 1, 20 * USD)

    def test_a_claim_of_the_renters_side(self, world, bonded):
        signature = bonded.damage(USD, EVIDENCE, bonded.renter)

        refusal = world.refusal(world.escrow.damage, bonded.terms, USD, EVIDENCE, signature)

        assert refusal == ("RentalEscrow_Unauthorized", account_of(bonded.renter))

    def test_a_claim_without_a_bond(self, world):
        rental = world.opened()
        signature = rental.damage(USD, EVIDENCE, rental.owner)

        refusal = world.refusal(world.escrow.damage, rental.terms, USD, EVIDENCE, signature)

        assert refusal == ("RentalEscrow_BalanceTooLow", account_of(rental.owner), 0, rental.bond)
