"""Serving a rental: never above what the renter allowed, however late it allows; every way a rental ends."""

import asyncio
import json
import random
from collections import Counter
from collections.abc import AsyncGenerator, Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hireling.device.log import RentalLog
from hireling.device.log_contents import Start
from hireling.device.meter import FLAG_DRIVER_FAILED
from hireling.device.record_file import NotKept
from hireling.device.session import RentalSession
from hireling.drivers.driver import DriverFailed, Facts, Pricing, Progress, Sample
from hireling.rental.ceiling import first_ceiling, next_ceiling, sign_ceiling
from hireling.rental.errors import CeilingRefused, SignatureMismatch
from hireling.rental.reading import ClockQuality, ReadingEvent
from hireling.rental.tariff import price
from tests.unit.agent.disk import fill_disk, free_disk, full_disk
from tests.unit.agent.rentals import ENERGY, PARTIES, HandClock, a_ceiling, an_offer, key, signed_by_both

STEP = 900_000


@dataclass
class ScriptedDriver:
    """Gives the rises it was told to, and remembers what was asked of it."""

    rises: list[int]
    clock: HandClock
    fails_at: int | None = None
    seconds_each: int = 1
    before_each: Callable[[int], None] = lambda row: None
    asked: list[str] = field(default_factory=list)
    row: int = 0
    total: int = 0

    @property
    def facts(self) -> Facts:
        return Facts(
            kind="appliance",
            title="Scripted",
            description="",
            time_factor=1,
            counters=ENERGY.counters,
            step=(STEP,),
            pricing=Pricing(counter="energy_mJ", per=1, unit="mJ", default="1", default_flat="0"),
            ceiling_seconds=10,
            default_seconds=60,
        )

    async def begin(self, progress: Progress) -> None:
        self.asked.append("begin")
        self.row, self.total = progress.position, progress.counters[0]

    async def samples(self) -> AsyncGenerator[Sample, None]:
        while self.row < len(self.rises):
            await asyncio.sleep(0)
            self.before_each(self.row)
            if self.row == self.fails_at:
                raise DriverFailed("the fuse blew")
            self.clock.advance(self.seconds_each)
            self.total += self.rises[self.row]
            self.row += 1
            yield Sample(counters=(self.total,), monotonic_ms=self.clock.monotonic_ms(), position=self.row)

    async def pause(self) -> None:
        self.asked.append("pause")

    async def resume(self) -> None:
        self.asked.append("resume")

    async def end(self) -> None:
        self.asked.append("end")


@dataclass
class Served:
    """A rental under test."""

    log: RentalLog
    session: RentalSession
    driver: ScriptedDriver
    clock: HandClock

    @property
    def events(self) -> list[str]:
        return [
            ReadingEvent(logged.signed.reading.sample.event).name for logged in self.log.unacknowledged(-1)
        ]

    def renew(self) -> None:
        """Acknowledge the last reading and allow a block more, as a renter does."""
        agreement = self.log.start.agreement
        if self.log.last is not None:
            ceiling = next_ceiling(agreement.agreement, self.log.last.signed.reading)
            self.session.take_ceiling(sign_ceiling(PARTIES.renter_agent, agreement.domain, ceiling))


def rental(
    folder: Path, rises: list[int], *, grace: int = 1, budget: int | None = None, **scripted: object
) -> Served:
    clock = HandClock()
    agreement = signed_by_both(an_offer(seconds=3600, grace=grace, budget=budget))
    log = RentalLog.create(folder / "rental.log", Start(agreement=agreement, funded_bps=10_000))
    return serving(log, ScriptedDriver(rises=rises, clock=clock, **scripted), clock)  # type: ignore[arg-type]


def serving(log: RentalLog, driver: ScriptedDriver, clock: HandClock) -> Served:
    def nobody(event: str, **fields: object) -> None: ...

    session = RentalSession(
        log=log, driver=driver, key=PARTIES.meter, clock=clock, announce=nobody, on_reading=lambda: None
    )
    return Served(log=log, session=session, driver=driver, clock=clock)


def first_block(served: Served) -> None:
    agreement = served.log.start.agreement
    ceiling = first_ceiling(agreement.agreement, rental_id=agreement.rental_id)
    served.session.take_ceiling(sign_ceiling(PARTIES.renter_agent, agreement.domain, ceiling))


def serve(served: Served) -> str:
    return asyncio.run(served.session.serve())


class TestRentalSession:
    def test_signs_one_reading_for_each_sample_between_begin_and_end(self, tmp_path: Path) -> None:
        served = rental(tmp_path, [9_000, 0, 18_000])
        first_block(served)

        reason = serve(served)

        assert reason == "finished"
        assert served.events == ["BEGIN", "CONTINUE", "CONTINUE", "CONTINUE", "END"]
        last = served.log.last
        assert last is not None
        assert last.signed.reading.amount_due == price(ENERGY, [27_000]) == 50_003
        assert last.signed.reading.last

    def test_suspends_before_the_ceiling_and_goes_on_when_it_rises(self, tmp_path: Path) -> None:
        served = rental(tmp_path, [STEP] * 30, grace=30)
        first_block(served)

        async def run() -> str:
            serving = asyncio.create_task(served.session.serve())
            while not serving.done():
                await asyncio.sleep(0)
                if served.events[-1:] == ["SUSPEND"]:
                    served.renew()
            return await serving

        assert asyncio.run(run()) == "finished"
        assert served.events.count("CONTINUE") == 30
        assert served.events.count("SUSPEND") == served.events.count("RESUME") > 0

    def test_ends_after_the_grace_when_no_ceiling_comes(self, tmp_path: Path) -> None:
        served = rental(tmp_path, [STEP] * 30, grace=0)
        first_block(served)

        assert serve(served) == "grace"
        assert served.events[-2:] == ["SUSPEND", "END"]
        assert served.session.amount_due <= served.log.start.agreement.agreement.pay.block_max

    def test_does_not_begin_without_a_ceiling(self, tmp_path: Path) -> None:
        served = rental(tmp_path, [1])

        assert not served.session.can_begin()
        with pytest.raises(DriverFailed, match="as 0 is allowed"):
            serve(served)
        assert served.events == []

    def test_ends_where_the_renter_stops_it(self, tmp_path: Path) -> None:
        served = rental(tmp_path, [9_000] * 10)
        served.driver.before_each = lambda row: served.session.stop("renter_stopped") if row == 4 else None
        first_block(served)

        assert serve(served) == "renter_stopped"
        assert served.log.progress.counters in {(36_000,), (45_000,)}
        assert served.driver.asked[-1] == "end"

    def test_ends_at_end_by(self, tmp_path: Path) -> None:
        served = rental(tmp_path, [0] * 1000, seconds_each=60)
        served.driver.before_each = lambda row: served.session.heard()
        first_block(served)

        assert serve(served) == "end_by"
        end_by = served.log.start.agreement.agreement.rules.end_by
        assert served.clock.now().timestamp() >= end_by

    def test_ends_after_the_notice_when_nobody_is_heard(self, tmp_path: Path) -> None:
        served = rental(tmp_path, [0] * 1000, seconds_each=60)
        first_block(served)

        assert serve(served) == "offline"

    def test_ends_with_a_flag_when_the_machine_breaks(self, tmp_path: Path) -> None:
        served = rental(tmp_path, [9_000] * 5, fails_at=3)
        first_block(served)

        assert serve(served) == "driver_failed"
        last = served.log.last
        assert last is not None
        assert last.signed.reading.sample.flags == FLAG_DRIVER_FAILED
        assert last.signed.reading.sample.counters == (27_000,)

    def test_never_charges_what_a_driver_counts_beyond_its_step(self, tmp_path: Path) -> None:
        served = rental(tmp_path, [9_000, 10**12])
        first_block(served)

        assert serve(served) == "driver_failed"
        assert served.log.progress.counters == (9_000,)

    def test_goes_on_from_the_log_after_a_crash(self, tmp_path: Path) -> None:
        served = rental(tmp_path, [9_000] * 10)
        first_block(served)

        reached = asyncio.Event()
        served.driver.before_each = lambda row: reached.set() if row == 5 else None

        async def crash_in_the_middle() -> None:
            serving = asyncio.create_task(served.session.serve())
            await reached.wait()
            serving.cancel()
            await asyncio.gather(serving, return_exceptions=True)

        # Cancelled is not killed: the log is left as it was before the clean-up could add a word.
        asyncio.run(crash_in_the_middle())
        served.log.close()
        log = RentalLog.open(tmp_path / "rental.log")
        assert not log.is_over
        again = serving(log, ScriptedDriver(rises=[9_000] * 10, clock=served.clock), served.clock)

        assert serve(again) == "finished"
        assert again.events == ["BEGIN", *["CONTINUE"] * 10, "END"]
        assert log.progress.counters == (90_000,)

    def test_refuses_a_ceiling_of_another_key(self, tmp_path: Path) -> None:
        served = rental(tmp_path, [1])
        agreement = served.log.start.agreement
        genuine = a_ceiling(agreement, max_claimable=100)
        forged = sign_ceiling(key(99), agreement.domain, genuine.ceiling)

        with pytest.raises(SignatureMismatch):
            served.session.take_ceiling(forged)
        assert served.log.ceiling is None

    def test_refuses_a_ceiling_of_another_rental(self, tmp_path: Path) -> None:
        served = rental(tmp_path, [1])
        other = signed_by_both(an_offer(seconds=77))

        with pytest.raises(CeilingRefused):
            served.session.take_ceiling(a_ceiling(other, max_claimable=100))

    def test_keeps_the_higher_of_two_ceilings_in_any_order(self, tmp_path: Path) -> None:
        served = rental(tmp_path, [1])
        agreement = served.log.start.agreement
        higher = a_ceiling(agreement, max_claimable=90_000)

        served.session.take_ceiling(higher)
        served.session.take_ceiling(a_ceiling(agreement, max_claimable=80_000))

        assert served.log.ceiling == higher


@dataclass
class CountingKey:
    """The meter's key, counting what it signs."""

    signed: Counter[bytes] = field(default_factory=Counter)

    @property
    def identity(self) -> bytes:
        return PARTIES.meter.identity

    def sign_digest(self, digest: bytes) -> bytes:
        self.signed[digest] += 1
        return PARTIES.meter.sign_digest(digest)


class DiskOfSleepers(HandClock):
    """A clock by which somebody makes room on the disk while the device waits."""

    waits: int = 0

    async def sleep(self, seconds: float) -> None:
        await super().sleep(seconds)
        self.waits += 1
        if self.waits == 20:
            free_disk()


class TestAFullDisk:
    def test_stands_still_until_there_is_room_and_signs_no_number_twice(self, tmp_path: Path) -> None:
        clock, key, said = DiskOfSleepers(), CountingKey(), Counter[str]()
        agreement = signed_by_both(an_offer(seconds=3600))
        log = RentalLog.create(tmp_path / "rental.log", Start(agreement=agreement, funded_bps=10_000))
        driver = ScriptedDriver(rises=[9_000] * 6, clock=clock)

        def fill(row: int) -> None:
            if row == 3:
                clock.waits = 0
                fill_disk(log.path.stat().st_size + 500)

        driver.before_each = fill
        session = RentalSession(
            log=log,
            driver=driver,
            key=key,
            clock=clock,
            announce=lambda event, **_: said.update([event]),
            on_reading=lambda: None,
        )
        served = Served(log=log, session=session, driver=driver, clock=clock)
        first_block(served)
        try:
            assert serve(served) == "finished"
        finally:
            free_disk()

        assert served.events == ["BEGIN", *["CONTINUE"] * 6, "END"]
        assert log.progress.counters == (54_000,)
        assert sorted(key.signed.values()) == [1] * 8, "one signature for each number"
        assert driver.asked == ["begin", "pause", "resume", "end"]
        assert said["disk_refuses"] == said["disk_takes_again"] == 1
        log.close()
        assert RentalLog.open(log.path).progress == log.progress

    def test_does_not_begin_what_it_cannot_write_down(self, tmp_path: Path) -> None:
        served = rental(tmp_path, [9_000])
        first_block(served)

        with full_disk(served.log.path.stat().st_size + 500), pytest.raises(DriverFailed, match="the disk"):
            serve(served)

        assert served.events == []
        assert served.driver.asked == ["begin", "end"]

    def test_serves_under_no_ceiling_that_it_could_forget(self, tmp_path: Path) -> None:
        served = rental(tmp_path, [9_000])

        with full_disk(served.log.path.stat().st_size + 100), pytest.raises(NotKept):
            first_block(served)

        assert not served.session.can_begin()


class TestClocks:
    @pytest.mark.parametrize("days", [1, -1, 400, -400])
    def test_a_wall_clock_that_jumps_ends_nothing(self, tmp_path: Path, days: int) -> None:
        served = rental(tmp_path, [9_000] * 10)
        first_block(served)

        def jump(row: int) -> None:
            if row == 4:
                served.clock.at += timedelta(days=days)

        served.driver.before_each = jump

        assert serve(served) == "finished"
        assert served.log.progress.counters == (90_000,)
        walls = [logged.signed.reading.sample.wall_ms for logged in served.log.unacknowledged(-1)]
        assert walls == sorted(walls), "no reading looks older than the one before"

    def test_a_wall_clock_set_back_each_hour_puts_no_deadline_off(self, tmp_path: Path) -> None:
        served = rental(tmp_path, [0] * 1000, seconds_each=60)
        first_block(served)
        began_ms, began = served.clock.milliseconds, served.clock.at

        def set_back(row: int) -> None:
            served.session.heard()
            if row % 60 == 59:
                served.clock.at -= timedelta(hours=1)

        served.driver.before_each = set_back

        assert serve(served) == "end_by"
        rules = served.log.start.agreement.agreement.rules
        used_ms = served.clock.milliseconds - began_ms
        assert used_ms <= (rules.end_by - began.timestamp() + 120) * 1000

    @pytest.mark.parametrize("monotonic_ms", [0, 5_000, 9_000, 10**9])
    def test_goes_on_after_a_reboot_that_lost_the_time(self, tmp_path: Path, monotonic_ms: int) -> None:
        served = rental(tmp_path, [9_000] * 10)
        first_block(served)
        served.driver.before_each = lambda row: served.session.stop("power cut") if row == 5 else None
        until_the_cut = serve_without_end(served)
        rebooted = HandClock(
            at=datetime(1970, 1, 1, tzinfo=UTC), milliseconds=monotonic_ms, boot=bytes.fromhex("b1" * 32)
        )
        rebooted.quality = lambda: ClockQuality.UNSYNCHRONISED  # type: ignore[method-assign]
        log = RentalLog.open(until_the_cut)
        again = serving(log, ScriptedDriver(rises=[9_000] * 10, clock=rebooted), rebooted)

        assert serve(again) == "finished"

        readings = [logged.signed.reading for logged in log.unacknowledged(-1)]
        assert log.progress.counters == (90_000,)
        assert [reading.seq for reading in readings] == list(range(len(readings)))
        assert len({reading.sample.boot for reading in readings}) == 2
        walls = [reading.sample.wall_ms for reading in readings]
        assert walls == sorted(walls)

    def test_a_clock_behind_its_own_readings_does_not_count_as_set(self, tmp_path: Path) -> None:
        served = rental(tmp_path, [9_000] * 4)
        first_block(served)

        def set_back(row: int) -> None:
            served.clock.at -= timedelta(minutes=10 if row == 2 else 0)

        served.driver.before_each = set_back
        serve(served)

        clocks = [logged.signed.reading.sample.clock for logged in served.log.unacknowledged(-1)]
        right, wrong = ClockQuality.SYNCHRONISED, ClockQuality.UNSYNCHRONISED
        assert clocks == [right, right, right, wrong, wrong, wrong]


def serve_without_end(served: Served) -> Path:
    """Serve, and return a log as a power cut before the last reading would have left it."""
    serve(served)
    lines = served.log.path.read_bytes().splitlines(keepends=True)
    path = served.log.path.with_name("cut.log")
    path.write_bytes(b"".join(lines[:-1]))
    return path


class TestSafeStop:
    @settings(max_examples=40, deadline=None)
    @given(
        rises=st.lists(st.integers(0, STEP), min_size=1, max_size=60),
        seed=st.integers(0, 2**32),
        eagerness=st.floats(0, 1),
        budget=st.one_of(st.none(), st.integers(50_000, 3_000_000)),
    )
    def test_the_amount_never_exceeds_what_is_allowed(  # noqa: PLR0917 - hypothesis passes by name
        self, tmp_path_factory: pytest.TempPathFactory, rises: list[int], seed: int, eagerness: float,
        budget: int | None,
    ) -> None:  # fmt: skip
        served = rental(tmp_path_factory.mktemp("safe"), rises, grace=0, budget=budget)
        chance = random.Random(seed)
        served.driver.before_each = lambda row: served.renew() if chance.random() < eagerness else None
        first_block(served)

        asyncio.run(served.session.serve())

        agreement = served.log.start.agreement.agreement
        allowed = 0
        readings = [logged.signed.reading for logged in served.log.unacknowledged(-1)]
        for record in served.log.path.read_text().splitlines():
            allowed = max(allowed, allowed_in(record))
            if (amount := amount_in(record)) is not None:
                assert amount <= min(allowed, agreement.pay.max_total)
        assert readings[-1].last


def allowed_in(line: str) -> int:
    """Return what a line of the log allows from then on, 0 for any but a ceiling."""
    record = json.loads(line.partition(" ")[2])
    if record["kind"] != "ceiling":
        return 0
    return int(json.loads(record["ceiling"])["ceiling"]["max_claimable"])


def amount_in(line: str) -> int | None:
    """Return the amount of a line's reading, None for any other line."""
    record = json.loads(line.partition(" ")[2])
    if record["kind"] != "reading":
        return None
    return int(json.loads(record["wire"])["reading"]["amount_due"])
