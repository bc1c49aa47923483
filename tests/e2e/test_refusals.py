"""A device that does not keep to the rules, on a real marketplace.

What it says is refused with the reason, and nothing is ever paid for it.
"""

import asyncio
import random
from collections.abc import Sequence
from dataclasses import dataclass

import pytest

from hireling.rental.bill import verify_bill
from hireling.rental.reading import Reading, SignedReading, sign_reading
from hireling.rental.signing import Secp256k1Key
from hireling.rental.states import State
from hireling.rental.tariff import price
from hireling.rental.typed_data import Domain
from services.embedded.marketplace import Marketplace
from services.settlement.escrow.chain import Chain
from tests.chain import DevChain
from tests.chain_rentals import STRANGER_KEY, door
from tests.e2e.deal import rented
from tests.e2e.parties import HandRental, holdings

pytestmark = [pytest.mark.journey, pytest.mark.timeout(600)]

READINGS = 40
WINDOW = 6
STOLEN = 100_000  # mJ that the machine never used


@dataclass(frozen=True)
class Lie:
    """Something that a device must not say, the code it is refused with, and the number it claims."""

    code: str
    payload: bytes
    seq: int | None


def lies(rental: HandRental, good: SignedReading, coming: SignedReading) -> list[Lie]:
    """Return one lie of each kind, after the good reading where the coming one would be next."""
    domain, after = rental.signed.domain, coming.reading
    more = _with_counters(rental, good.reading, plus=STOLEN)
    fallen = _with_counters(rental, after, plus=-3 * STOLEN)
    elsewhere = Domain(chain_id=domain.chain_id + 1, escrow=domain.escrow)
    honest = coming.model_dump_json().encode()
    return [
        Lie("wrong_key", _wire(Secp256k1Key.generate(), domain, after), after.seq),
        Lie("wrong_domain", _wire(rental.meter, elsewhere, after), after.seq),
        Lie("conflicting_number", _wire(rental.meter, domain, more), more.seq),
        Lie("counter_fell", _wire(rental.meter, domain, fallen), fallen.seq),
        Lie("malformed", honest[: len(honest) // 2], None),
    ]


def _with_counters(rental: HandRental, reading: Reading, *, plus: int) -> Reading:
    energy, *others = reading.sample.counters
    counters = (energy + plus, *others)
    sample = reading.sample.model_copy(update={"counters": counters})
    amount = price(rental.signed.offer.tariff, counters)
    return reading.model_copy(update={"sample": sample, "amount_due": amount})


def _wire(key: Secp256k1Key, domain: Domain, reading: Reading) -> bytes:
    return sign_reading(key, domain, reading).model_dump_json().encode()


class TestRefusals:
    def test_what_breaks_the_rules_is_refused_by_name_and_never_paid(
        self, shared_market: Marketplace
    ) -> None:
        asyncio.run(self._journey(shared_market))

    async def _journey(self, market: Marketplace) -> None:
        chain = DevChain.running_at(market.settings.chain_port, market.settings.deployment)
        stranger = door(chain, key=STRANGER_KEY)
        async with rented(market) as rental:
            before = holdings(stranger, rental.people)
            readings = rental.honest_readings(12)
            due = [reading.reading.amount_due for reading in readings]

            # It begins honestly: four readings, which the renter acknowledges and the escrow pays.
            await rental.acknowledge(None)
            await rental.say_all(readings[:4])
            await rental.acknowledge(readings[3])
            await rental.claimed(paid=due[3], tail=0)

            # Then it lies. Each lie is refused, told to the device, and listed for everybody.
            for lie in lies(rental, readings[3], readings[4]):
                await rental.say(lie.payload)
                seq = None if lie.seq is None else str(lie.seq)
                await rental.line.hear("refusals", rental_id=rental.id, code=lie.code, seq=seq)
                assert (await rental.refused(lie.code, lie.seq)).source == "metering"

            # A reading too early is refused as long as one before it is missing, and then it counts.
            for early in (readings[6], readings[5]):
                await rental.say(early)
                number = early.reading.seq
                await rental.line.hear("refusals", rental_id=rental.id, code="gap", seq=str(number))
                assert (await rental.refused("gap", number)).resolved_at is None
            await rental.say(readings[4])
            await rental.acked(6)
            assert all([(await rental.refused("gap", number)).resolved_at is not None for number in (5, 6)])

            # On the chain is what was acknowledged, and what was honest since; the lies left nothing.
            await rental.claimed(paid=due[3], tail=due[6] - due[3])
            await rental.acknowledge(readings[6])
            await rental.claimed(paid=due[6], tail=0)

            # It charges more than the tariff makes of its counters: the rental ends at the last good reading.
            dear = readings[7].reading.model_copy(update={"amount_due": due[7] + 1_000})
            await rental.say(_wire(rental.meter, rental.signed.domain, dear))
            assert (await rental.refused("amount_above_tariff", 7)).source == "settlement"
            await rental.line.hear("notices", type="rental_changed", rental_id=rental.id, state="CLOSED")

            # Both sides close over the last good reading, and the bill says the same.
            signed = await rental.close(due[6])
            verify_bill(signed, issuer=rental.facts.bill_signer)
            bill = signed.bill
            assert bill.readings == readings[:7]
            assert bill.total == due[6]

            # Never, in any block, did the escrow pay another amount than an acknowledged good reading's.
            assert set(_paid_at_each_claim(stranger, rental)) == {due[3], due[6]}
            assert holdings(stranger, rental.people) == {
                "owner": before["owner"] + bill.total - bill.fee,
                "renter": before["renter"] + rental.signed.agreement.all_in - bill.total,
                "fee": before["fee"] + bill.fee,
                "escrow": before["escrow"] - rental.signed.agreement.all_in,
            }


class TestDelivery:
    def test_twice_and_shuffled_gives_the_same_bill_as_in_order(self, shared_market: Marketplace) -> None:
        asyncio.run(self._journey(shared_market))

    async def _journey(self, market: Marketplace) -> None:
        async with rented(market) as orderly, rented(market) as messy:
            in_order = orderly.honest_readings(READINGS)
            twice_and_shuffled = _shuffled_within_a_window(messy.honest_readings(READINGS) * 2)
            await asyncio.gather(orderly.say_all(in_order), messy.say_all(twice_and_shuffled))
            bills = []
            for rental in (orderly, messy):
                await rental.acknowledge(None)
                await rental.view_where(lambda view: view.state is State.CLOSED, "the last reading counted")
                signed = await rental.close(in_order[-1].reading.amount_due)
                verify_bill(signed, issuer=rental.facts.bill_signer)
                bills.append(signed.bill)
            first, second = bills
            assert first.total == in_order[-1].reading.amount_due
            assert [reading.reading.seq for reading in second.readings] == list(range(READINGS))
            assert (first.total, first.fee, first.counters, first.lines) == (
                second.total,
                second.fee,
                second.counters,
                second.lines,
            )
            refusals = await messy.refusals()
            # A hole that closes within one group commit is never seen.
            assert {one.code for one in refusals} <= {"gap"}
            assert all(one.resolved_at is not None for one in refusals)


def _paid_at_each_claim(door: Chain, rental: HandRental) -> list[int]:
    logs = door.logs(first=0, last=door.head().number)
    claims = [log for log in logs if (log.name, log.subject) == ("Claimed", rental.id)]
    return [int(claim.arguments["paid"]) for claim in claims]


def _shuffled_within_a_window(readings: Sequence[SignedReading]) -> list[SignedReading]:
    chance = random.Random(WINDOW)
    return sorted(readings, key=lambda reading: reading.reading.seq + chance.uniform(0, WINDOW))
