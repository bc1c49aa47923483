"""See void_tail.tree."""

from dataclasses import replace

import pytest
from model import Outcome
from rental import NOBODY, USD
from signing import Secp256k1Key


def void(world, rental, first, second):
    return world.escrow.voidTail(rental.pay, rental.rules_hash, *first, *second, {"from": world.relayer})


CONTRADICTIONS = [
    pytest.param({"seq": 4, "amount_due": 5}, {"seq": 4, "amount_due": 6}, id="one number, two contents"),
    pytest.param({"seq": 4, "amount_due": 5, "last": True}, {"seq": 5, "amount_due": 5}, id="after its last"),
    pytest.param({"seq": 4, "amount_due": 6}, {"seq": 9, "amount_due": 5}, id="a falling amount"),
]


class TestVoids:
    @pytest.mark.parametrize(("first", "second"), CONTRADICTIONS)
    def test_the_tail_of_a_device_that_contradicts_itself(self, world, first, second):
        rental = world.opened()
        world.claimed(rental, 12 * USD, 15 * USD, 10 * USD)

        transaction = void(world, rental, rental.reading(**first), rental.reading(**second))

        assert world.slot(rental) == (10 * USD, 0, rental.claim_by, 10_000, 1 | 8)
        assert transaction.events["TailVoided"]["tail"] == 2 * USD

    def test_nothing_that_the_renter_acknowledged(self, world):
        rental = world.opened()
        void(world, rental, rental.reading(5, seq=4), rental.reading(6, seq=4))

        world.claimed(rental, 12 * USD, 15 * USD, 10 * USD)

        assert world.slot(rental)[:2] == (10 * USD, 0)

    def test_a_tail_after_the_split_without_losing_sight_of_its_money(self, world, nobody):
        rental = world.opened()
        world.claimed(rental, 12 * USD, 15 * USD, 10 * USD)
        world.next_at(rental.claim_by + 1)
        world.escrow.settle(rental.terms, nobody, {"from": world.relayer})

        void(world, rental, rental.reading(5, seq=4), rental.reading(6, seq=4))

        assert world.slot(rental) == (10 * USD, 2 * USD, rental.claim_by, 10_000, 1 | 8 | 16)


class TestRefuses:
    @pytest.mark.parametrize(
        ("first", "second"),
        [
            pytest.param({"seq": 4, "amount_due": 5}, {"seq": 4, "amount_due": 5}, id="the same reading"),
            pytest.param({"seq": 4, "amount_due": 5}, {"seq": 5, "amount_due": 5}, id="one after the other"),
            pytest.param({"seq": 5, "amount_due": 9}, {"seq": 4, "amount_due": 5}, id="in the wrong order"),
            pytest.param(
                {"seq": 5, "amount_due": 9, "last": True}, {"seq": 4, "amount_due": 5}, id="the last at last"
            ),
        ],
    )
    def test_readings_that_agree(self, world, first, second):
        rental = world.opened()
        evidence = (*rental.reading(**first), *rental.reading(**second))

        refusal = world.refusal(world.escrow.voidTail, rental.pay, rental.rules_hash, *evidence)

        assert refusal == ("RentalEscrow_NoContradiction", first["seq"], second["seq"])

    def test_a_reading_that_the_meter_did_not_sign(self, world):
        rental = world.opened()
        forged = rental.reading(6, seq=4, key=Secp256k1Key("stranger"))

        refusal = world.refusal(
            world.escrow.voidTail, rental.pay, rental.rules_hash, *rental.reading(5, seq=4), *forged
        )

        assert refusal == ("RentalEscrow_InvalidSignature",)

    def test_a_reading_of_another_rental_of_the_same_meter(self, world):
        rental = world.opened()
        other = replace(rental, salt=b"\x02" * 32)

        refusal = world.refusal(
            world.escrow.voidTail,
            rental.pay,
            rental.rules_hash,
            *rental.reading(5, seq=4),
            *other.reading(6, seq=4),
        )

        assert refusal == ("RentalEscrow_ClaimRefused", other.id, Outcome.OTHER_RENTAL)

    def test_a_second_void(self, world):
        rental = world.opened()
        lies = (rental.reading(5, seq=4), rental.reading(6, seq=4))
        void(world, rental, *lies)

        refusal = world.refusal(world.escrow.voidTail, rental.pay, rental.rules_hash, *lies[0], *lies[1])

        assert refusal == ("RentalEscrow_StatusForbids", rental.id, 1 | 8)

    def test_a_rental_that_never_opened(self, world):
        rental = world.rental()

        refusal = world.refusal(
            world.escrow.voidTail, rental.pay, rental.rules_hash, *rental.reading(5), *rental.reading(6)
        )

        assert refusal == ("RentalEscrow_NotOpen", rental.id, 0)


def test_a_claim_after_a_void_without_acknowledgement_brings_nothing(world):
    rental = world.opened()
    void(world, rental, rental.reading(5, seq=4), rental.reading(6, seq=4))
    world.mine_at(rental.starts + 3600)

    refusal = world.refusal(world.escrow.claim, rental.claim(12 * USD, 15 * USD, 0), NOBODY)

    assert refusal == ("RentalEscrow_ClaimRefused", rental.id, Outcome.NOTHING_NEW)
