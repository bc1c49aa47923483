"""Whole rentals between the two agents, over a real broker.

The rented machine, losses on the way, crashes on both sides.
"""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from fractions import Fraction
from pathlib import Path

import pytest

from hireling.clock import SystemClock
from hireling.drivers.host.driver import HostDriver
from hireling.drivers.replay.driver import ReplayDriver
from hireling.drivers.replay.trace import Row
from hireling.mqtt_line import Broker
from hireling.platform_views import ListingView
from hireling.rental.bill import verify_bill
from hireling.rental.reading import ReadingEvent, SignedReading
from hireling.renter import ride
from services.embedded.broker import LocalBroker
from services.embedded.door import RuledDoor
from services.metering.accounts import Accounts
from tests.integration.agent.marketplace import Marketplace
from tests.integration.agent.parties import Device, Renter, a_device, a_renter
from tests.unit.agent.device.test_log import begin

ROWS = 40


def a_replay(rows: int = ROWS, *, watts: int = 500) -> ReplayDriver:
    """Return a machine that draws so many watts for so many seconds, in a hundredth of the time."""
    trace = [Row(energy_mj=Fraction(watts * 1000), seconds=Fraction(1))] * rows
    return ReplayDriver(trace, speed=100, clock=SystemClock(), title="A kettle")


@asynccontextmanager
async def a_marketplace() -> AsyncIterator[Marketplace]:
    names: dict[str, str] = {}
    broker = LocalBroker(host="127.0.0.1", port=0, door=RuledDoor(names, Accounts()))
    await broker.start()
    market = Marketplace(Broker(host="127.0.0.1", port=broker.port), names)

    async def publish() -> None:
        await market.line.wait_up()
        while True:
            await market.publish_due()
            await asyncio.sleep(0.01)

    tasks = [asyncio.create_task(market.line.run(market)), asyncio.create_task(publish())]
    try:
        await market.line.wait_up()
        yield market
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await broker.shutdown()


async def the_listing(renter: Renter, device: Device) -> ListingView:
    await device.story.until("listed")
    return (await renter.platform.listings())[0]


def events_of(readings: list[SignedReading]) -> list[str]:
    return [signed.reading.sample.event.name for signed in readings]


def run(rental: Callable[[], Awaitable[None]]) -> None:
    async def in_time() -> None:
        async with asyncio.timeout(60):
            await rental()

    asyncio.run(in_time())


class TestARental:
    def test_ends_with_a_bill_that_both_sides_hold(self, tmp_path: Path) -> None:
        async def rental() -> None:
            async with (
                a_marketplace() as market,
                a_device(market, a_replay(), tmp_path / "device") as device,
                a_renter(market, tmp_path / "renter") as renter,
            ):
                kept = await renter.agent.rent(await the_listing(renter, device), seconds=60, budget=None)
                outcome = await device.task

                assert kept is not None
                assert outcome is not None
                bill = kept.signed.bill
                assert bill.counters == (ROWS * 500_000,)
                assert events_of(list(bill.readings)) == ["BEGIN", *["CONTINUE"] * ROWS, "END"]
                # 0.05 flat and 0.40 a kWh, haggled down from the listing: at most the listed price.
                assert bill.total <= 50_000 + ROWS * 500_000 * 400_000 // 3_600_000_000
                assert bill.total == bill.close.close.use if bill.close else False
                verify_bill(kept.signed, issuer=market.bill_key.identity)
                assert (tmp_path / "device" / "bills" / kept.path.name).exists()
                assert renter.story.named("counter_offer")
                assert [name for name, _ in renter.story.events].index("ceiling") < [
                    name for name, _ in renter.story.events
                ].index("unlocked")
                assert list((tmp_path / "device" / "rentals").glob("*.log")) == []

        run(rental)

    def test_meters_this_computer(self, tmp_path: Path) -> None:
        async def rental() -> None:
            driver = HostDriver(clock=SystemClock(), blocks=40)
            async with (
                a_marketplace() as market,
                a_device(market, driver, tmp_path / "device") as device,
                a_renter(market, tmp_path / "renter") as renter,
            ):
                kept = await renter.agent.rent(await the_listing(renter, device), seconds=60, budget=None)

                assert kept is not None
                cpu_ms, wall_ms = kept.signed.bill.counters
                assert 0 < cpu_ms <= wall_ms * 11 // 10
                assert kept.signed.bill.readings[-1].reading.sample.flags == 0

        run(rental)

    def test_loses_nothing_when_readings_get_lost(self, tmp_path: Path) -> None:
        async def rental() -> None:
            async with (
                a_marketplace() as market,
                a_device(market, a_replay(), tmp_path / "device") as device,
                a_renter(market, tmp_path / "renter") as renter,
            ):
                lost: set[int] = set()

                def loses_each_seventh_once(signed: SignedReading) -> bool:
                    seq = signed.reading.seq
                    is_lost = seq % 7 == 3 and seq not in lost
                    lost.add(seq)
                    return not is_lost

                market.hears = loses_each_seventh_once
                kept = await renter.agent.rent(await the_listing(renter, device), seconds=60, budget=None)

                assert kept is not None
                assert kept.signed.bill.counters == (ROWS * 500_000,)
                assert len(market.delivered) > len(kept.signed.bill.readings)

        run(rental)

    def test_goes_on_after_the_device_crashed(self, tmp_path: Path) -> None:
        async def rental() -> None:
            async with a_marketplace() as market, a_renter(market, tmp_path / "renter") as renter:
                async with a_device(market, a_replay(200), tmp_path / "device") as device:
                    listing = await the_listing(renter, device)
                    renting = asyncio.create_task(renter.agent.rent(listing, seconds=60, budget=None))
                    await device.story.until("reading", times=50)
                    await device.crash()
                async with a_device(market, a_replay(200), tmp_path / "device") as again:
                    kept = await renting
                    await again.task

                assert kept is not None
                assert again.story.named("resumed_from_log")
                assert kept.signed.bill.counters == (200 * 500_000,)
                assert events_of(list(kept.signed.bill.readings)).count("CONTINUE") == 200

        run(rental)

    def test_serves_others_beside_logs_that_a_crash_spoilt(self, tmp_path: Path) -> None:
        async def rental() -> None:
            logs = tmp_path / "device" / "rentals"
            logs.mkdir(parents=True)
            whole, _ = begin(tmp_path / "whole.log")
            content = bytearray(whole.path.read_bytes())
            empty, damaged = logs / f"{bytes(32).hex()}.log", logs / f"{bytes([1] * 32).hex()}.log"
            empty.write_bytes(content[:500])
            content[100] ^= 1
            damaged.write_bytes(content)
            async with (
                a_marketplace() as market,
                a_device(market, a_replay(), tmp_path / "device") as device,
                a_renter(market, tmp_path / "renter") as renter,
            ):
                kept = await renter.agent.rent(await the_listing(renter, device), seconds=60, budget=None)
                await device.task

                assert kept is not None
                assert kept.signed.bill.counters == (ROWS * 500_000,)
                assert len(device.story.named("log_empty")) == len(device.story.named("log_damaged")) == 1
            assert not empty.exists()
            assert damaged.read_bytes() == content

        run(rental)

    def test_tells_both_sides_what_looks_wrong(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(ride, "FLAGS_SECONDS", 0.1)

        async def rental() -> None:
            async with (
                a_marketplace() as market,
                a_device(market, a_replay(200), tmp_path / "device") as device,
                a_renter(market, tmp_path / "renter") as renter,
            ):
                market.flag(5)
                kept = await renter.agent.rent(await the_listing(renter, device), seconds=60, budget=None)
                await device.task

                assert kept is not None
                for story in (renter.story, device.story):
                    (said,) = story.named("flagged")
                    assert (said["seq"], said["code"]) == (5, "gap")

        run(rental)

    def test_goes_on_after_the_renter_crashed(self, tmp_path: Path) -> None:
        async def rental() -> None:
            async with (
                a_marketplace() as market,
                a_device(market, a_replay(200), tmp_path / "device") as device,
            ):
                async with a_renter(market, tmp_path / "renter") as renter:
                    listing = await the_listing(renter, device)
                    renting = asyncio.create_task(renter.agent.rent(listing, seconds=60, budget=None))
                    await renter.story.until("reading", times=20)
                    renting.cancel()
                    await asyncio.gather(renting, return_exceptions=True)
                async with a_renter(market, tmp_path / "renter") as again:
                    (page,) = again.book.unfinished()
                    kept = await again.agent.carry(page)

                assert kept is not None
                assert kept.signed.bill.counters == (200 * 500_000,)
                assert list(again.book.unfinished()) == []

        run(rental)

    def test_ends_when_the_renter_stops_it(self, tmp_path: Path) -> None:
        async def rental() -> None:
            async with (
                a_marketplace() as market,
                a_device(market, a_replay(3000), tmp_path / "device") as device,
                a_renter(market, tmp_path / "renter") as renter,
            ):
                listing = await the_listing(renter, device)
                renting = asyncio.create_task(renter.agent.rent(listing, seconds=60, budget=None))
                await renter.story.until("reading", times=20)
                renter.agent.stop()
                kept = await renting

                assert kept is not None
                last = kept.signed.bill.readings[-1].reading
                assert last.sample.event is ReadingEvent.END
                assert last.sample.counters[0] < 3000 * 500_000
                assert device.story.named("ended")[0]["reason"] == "renter_stopped"

        run(rental)

    def test_outlives_a_marketplace_that_stops_answering(self, tmp_path: Path) -> None:
        async def rental() -> None:
            async with (
                a_marketplace() as market,
                a_device(market, a_replay(100), tmp_path / "device") as device,
                a_renter(market, tmp_path / "renter") as renter,
            ):
                listing = await the_listing(renter, device)
                renting = asyncio.create_task(renter.agent.rent(listing, seconds=60, budget=None))
                await renter.story.until("reading", times=20)
                market.is_down = True
                await device.story.until("ended")
                market.is_down = False
                kept = await renting

                assert kept is not None
                assert kept.signed.bill.counters == (100 * 500_000,)

        run(rental)
