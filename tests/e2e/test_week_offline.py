"""A machine that was offline for a week with a full log uploads it, and is billed to the unit.

The device's clock and the chain's live through the week; the platform's own does not, so the machine is one
that uses in a week no more than it could in the seconds that the platform sees.
"""

import asyncio
import re
from collections.abc import Callable, Iterator
from contextlib import suppress
from itertools import chain as one_after_the_other
from pathlib import Path

import pytest

from hireling.cli.surroundings import Home
from hireling.device.log import RentalLog, log_path
from hireling.device.log_contents import Start
from hireling.device.offering import Wishes
from hireling.device.record_file import RecordFile
from hireling.drivers.driver import Facts, Pricing
from hireling.durable import make_private_folder
from hireling.platform_errors import PlatformError, PlatformUnreachable
from hireling.platform_views import RentalView
from hireling.rental.bill import SignedBill
from hireling.rental.ceiling import SignedCeiling, next_ceiling, sign_ceiling
from hireling.rental.close import Close
from hireling.rental.reading import (
    ClockQuality,
    Reading,
    ReadingEvent,
    Sample,
    SignedReading,
    reading_hash,
    sign_reading,
)
from hireling.rental.signing import sign
from hireling.rental.states import State
from hireling.rental.tariff import CounterSpec, price
from services.embedded.marketplace import Marketplace
from services.settlement.escrow.chain import Chain
from tests.chain import DevChain
from tests.chain_rentals import door
from tests.e2e.deal import Keys, rented
from tests.e2e.journey import START_WITHIN
from tests.e2e.parties import HandRental, holdings, until
from tests.e2e.programs import Program, running

DAY = 86_400
WEEK = 7 * DAY
EVERY_SECONDS = 10
READINGS = WEEK // EVERY_SECONDS
NAME = "a sensor"
UPLOAD_WITHIN = 240.0
BILL_WITHIN = 240.0
KILLED_AT = 15_000
# A hundred megabytes is what the agent's own code takes; the log alone has sixty more.
MOST_MIB = 150

SENSOR = Facts(
    kind="sensor",
    title="A sensor far out",
    description="It measures day and night, and sees a network now and then.",
    time_factor=1,
    counters=(CounterSpec(name="energy_mJ", unit="mJ", max_per_second=100_000_000),),
    step=(10_000,),
    pricing=Pricing(counter="energy_mJ", per=3_600_000_000, unit="kWh", default="0.01", default_flat="0.01"),
    ceiling_seconds=WEEK + DAY,
    default_seconds=WEEK,
)
WISHES = Wishes(ceiling_seconds=WEEK + DAY, notice_seconds=WEEK + DAY, longest_seconds=WEEK + DAY)


@pytest.mark.journey
@pytest.mark.timeout(900)
def test_a_week_offline_is_uploaded_and_billed_to_the_unit(
    embedded_market: Marketplace, tmp_path: Path
) -> None:
    asyncio.run(a_week(embedded_market, tmp_path))


async def a_week(market: Marketplace, folder: Path) -> None:
    """Rent the sensor for a week, of which the platform sees the first reading and, at its end, all of it."""
    home = Home.at(folder / "device")
    machine = home.device(NAME)
    own = home.keystore(machine / "keys")
    keys = Keys(
        owner=home.keys.secp256k1("owner"),
        owner_agent=own.secp256k1("agent"),
        meter=own.secp256k1("meter"),
    )
    chain = DevChain.running_at(market.settings.chain_port, market.settings.deployment)
    stranger = door(chain)
    async with rented(market, machine=SENSOR, wishes=WISHES, keys=keys, seconds=WEEK + DAY) as rental:
        before = holdings(stranger, rental.people)
        ceiling = await rental.acknowledge(None)
        readings = a_week_of_readings(rental)
        first = next(readings)
        await begun(rental, first)
        await rental.view_where(lambda view: view.state is State.ACTIVE, "the sensor at work")
        path = log_path(make_private_folder(machine / "rentals"), rental.signed.rental_id)
        log = RentalLog.create(path, Start(agreement=rental.signed, funded_bps=10_000))
        log.append_ceiling(ceiling)
        log.append_reading(first, position=0)
        log.note_ack(0)
        log.close()
        last = await asyncio.to_thread(append, path, readings)
        chain.call("evm_increaseTime", WEEK)
        chain.mine()

        await asyncio.to_thread(upload_with_a_kill, market, folder, path)

        await sees(rental, lambda view: view.seq == last.reading.seq, "the whole week counted")
        due = price(rental.signed.offer.tariff, last.reading.sample.counters)
        assert last.reading.amount_due == due > 10_000
        await rental.line.say("ceilings", acknowledging(rental, last).model_dump_json())
        await renters_half(rental, use=due)
        # Its owner's half is in already, or comes as soon as the device runs again.
        with running(*device_arguments(market, folder), log=folder / "device.log"):
            await sees(rental, lambda view: view.state is State.SETTLED, "the money paid out")
        await billed_to_the_unit(rental, stranger, last, before=before)


def a_week_of_readings(rental: HandRental) -> Iterator[SignedReading]:
    """Yield the readings of a machine that draws a little more in the day than at night."""
    tariff, domain = rental.signed.offer.tariff, rental.signed.domain
    began_ms = rental.signed.agreement.pay.start_at * 1000
    previous, energy = rental.signed.rental_id, 0
    for seq in range(READINGS + 2):
        seconds = seq * EVERY_SECONDS
        if 0 < seq <= READINGS:
            energy += 500 + (seconds % DAY) // 100 + (seq * 7919) % 301
        event = ReadingEvent.BEGIN if seq == 0 else ReadingEvent.CONTINUE
        event = ReadingEvent.END if seq > READINGS else event
        reading = Reading(
            rental_id=rental.signed.rental_id,
            seq=seq,
            amount_due=price(tariff, [energy]),
            last=event is ReadingEvent.END,
            sample=Sample(
                previous=previous,
                counters=(energy,),
                boot=bytes(31) + b"\x01",
                monotonic_ms=5_000 + seconds * 1000,
                wall_ms=began_ms + seconds * 1000,
                clock=ClockQuality.SYNCHRONISED,
                event=event,
                flags=0,
            ),
        )
        yield sign_reading(rental.meter, domain, reading)
        previous = reading_hash(reading)


async def begun(rental: HandRental, first: SignedReading) -> None:
    """Say the first reading until it is acknowledged: the ingest may still be starting."""

    async def look() -> bool:
        await rental.say(first)
        return any(word == "acks" for word, _ in rental.line.heard)

    await until(look, "an acknowledgement")


def append(path: Path, readings: Iterator[SignedReading]) -> SignedReading:
    """Append a week of readings to a log, not synced one by one: that week has passed. Return the last."""
    file = RecordFile(path, lambda *_: None)
    last = next(readings)
    for signed in one_after_the_other([last], readings):
        last = signed
        file.append_unsynced({"kind": "reading", "wire": signed.model_dump_json(), "position": 0})
    file.close()
    return last


def device_arguments(market: Marketplace, folder: Path) -> list[str]:
    """Return the device agent's command line; it finds the rental's log in its home."""
    places = ["--home", str(folder / "device"), "--gateway", market.settings.gateway_url]
    return ["device", "run", "--driver", "replay", "--name", NAME, *places]


def upload_with_a_kill(market: Marketplace, folder: Path, path: Path) -> None:
    """Have the device upload, kill it (-9) in the middle, and have it go on."""
    with running(*device_arguments(market, folder), log=folder / "device.log") as device:
        resumed = device.wait_for("resumed_from_log", within=START_WITHIN)
        assert int(resumed["seq"]) == READINGS + 1
        acked(device, KILLED_AT)
        assert highest_mib(device) < MOST_MIB, "the log is read from the disk as it goes up"
        device.kill()
    log = RentalLog.open(path)
    assert KILLED_AT <= log.acked < READINGS
    log.close()
    with running(*device_arguments(market, folder), log=folder / "device.log") as again:
        acked(again, READINGS + 1)


def acked(device: Program, seq: int) -> None:
    """Wait until the device knows that the platform holds this number."""
    device.wait_until(
        lambda event: event["event"] == "acked" and int(event["seq"]) >= seq,
        within=UPLOAD_WITHIN,
        what=f"{seq} acknowledged",
    )


def highest_mib(program: Program) -> float:
    """Return the most memory that the program has had so far."""
    status = Path(f"/proc/{program.process.pid}/status").read_text()
    found = re.search(r"VmHWM:\s+(\d+) kB", status)
    assert found is not None
    return int(found[1]) / 1024


async def renters_half(rental: HandRental, *, use: int) -> None:
    """Hand in the renter's half of the close."""
    close = Close(
        rental_id=rental.signed.rental_id, use=use, damage=0, valid_until=rental.signed.agreement.claim_by
    )
    signature = sign(rental.session, rental.signed.domain, close)

    async def look() -> bool:
        with suppress(PlatformUnreachable):
            await rental.platform.submit_close(close, by="renter", signature=signature)
            return True
        return False

    await until(look, "the renter's half to be taken")


async def billed_to_the_unit(
    rental: HandRental,
    stranger: Chain,
    last: SignedReading,
    *,
    before: dict[str, int],
) -> None:
    """The chain paid exactly what the week's readings cost, and the bill has every one of them."""
    due = int(last.reading.amount_due)
    view = await sees(rental, lambda view: view.state is State.SETTLED, "the money paid out")
    assert view.claimed == due
    after = holdings(stranger, rental.people)
    fee = due * rental.facts.fee_bps // 10_000
    moved = {name: after[name] - before[name] for name in after}
    all_in = rental.signed.agreement.all_in
    assert moved == {"owner": due - fee, "fee": fee, "renter": all_in - due, "escrow": -all_in}

    signed = await the_bill(rental)
    assert (signed.bill.total, signed.bill.fee) == (due, fee)
    # Settlement checked every signature before it signed; here counts that it is all of the week.
    assert [each.reading.seq for each in signed.bill.readings] == list(range(READINGS + 2))
    assert signed.bill.readings[-1] == last
    assert signed.issuer == rental.facts.bill_signer


async def sees(rental: HandRental, holds: Callable[[RentalView], bool], what: str) -> RentalView:
    """Return the rental once this holds of it; the platform has better to do than to answer at once."""
    try:
        async with asyncio.timeout(UPLOAD_WITHIN):
            while True:
                with suppress(PlatformError):
                    view = await rental.platform.rental(rental.signed.rental_id)
                    if holds(view):
                        return view
                await asyncio.sleep(0.5)
    except TimeoutError as error:
        raise AssertionError(f"{UPLOAD_WITHIN:.0f} s passed without {what}") from error


def acknowledging(rental: HandRental, last: SignedReading) -> SignedCeiling:
    """Return the renter's word that the whole week is right."""
    ceiling = next_ceiling(rental.signed.agreement, last.reading)
    return sign_ceiling(rental.session, rental.signed.domain, ceiling)


async def the_bill(rental: HandRental) -> SignedBill:
    """Return the bill once settlement has issued it: tens of megabytes over HTTP, as anybody reads it."""
    try:
        async with asyncio.timeout(BILL_WITHIN):
            while True:
                with suppress(PlatformError):
                    return await rental.platform.bill(rental.signed.rental_id)
                await asyncio.sleep(1)
    except TimeoutError as error:
        raise AssertionError(f"{BILL_WITHIN:.0f} s passed without a bill") from error
