"""One rental being served: from the begin reading to the last, never above what the renter allowed."""

import asyncio
from collections.abc import AsyncGenerator, Callable
from contextlib import suppress
from datetime import UTC, datetime

from hireling.announce import Announce
from hireling.clock import Clock, SteadyTime
from hireling.device.log import RentalLog
from hireling.device.log_contents import LoggedReading
from hireling.device.meter import FLAG_DRIVER_FAILED, Meter
from hireling.device.record_file import NotKept
from hireling.drivers.driver import BadInput, Driver, DriverFailed, Sample
from hireling.rental.ceiling import SignedCeiling
from hireling.rental.reading import ReadingEvent
from hireling.rental.signing import Signer
from hireling.rental.tariff import price

END_CHECK_SECONDS = 1.0
DISK_AGAIN_SECONDS = 1.0


class RentalSession:
    """Runs the driver, signs its samples, and stops in time."""

    def __init__(
        self,
        *,
        log: RentalLog,
        driver: Driver,
        key: Signer,
        clock: Clock,
        announce: Announce,
        on_reading: Callable[[], None],
    ) -> None:
        self.log = log
        self._driver = driver
        self._clock = clock
        self._announce = announce
        self._on_reading = on_reading
        self._meter = Meter(log, key=key, clock=clock)
        self._terms = log.start.agreement.agreement
        self._changed = asyncio.Event()
        self._stopping = asyncio.Event()
        self._reason = ""
        last = log.last
        # A clock that somebody sets, or that begins in 1970 after a reboot, moves no deadline.
        self._time = SteadyTime(
            clock,
            not_before=None
            if last is None
            else datetime.fromtimestamp(last.signed.reading.sample.wall_ms // 1000, UTC),
        )
        self._last_contact = self._time.now()

    @property
    def amount_due(self) -> int:
        """Return what the rental costs so far."""
        return self._meter.amount_due

    def heard(self) -> None:
        """Note that somebody outside was heard: a machine cut off for longer than ``notice`` stops."""
        self._last_contact = self._time.now()

    def take_ceiling(self, signed: SignedCeiling) -> None:
        """Serve under this ceiling from now on, once the disk holds it.

        One that allows no more changes nothing.

        Raises CeilingRefused or SignatureMismatch when it is for another rental or signed by another key,
        NotKept when the disk does not take it.
        """
        signed.check(self.log.start.agreement.domain, self._terms)
        self.heard()
        if self._meter.allowed_by(signed) <= self._meter.allowed:
            return
        self.log.append_ceiling(signed)
        self._changed.set()
        self._announce("ceiling_received", rental_id=self._id, allowed=self._meter.allowed)

    def can_begin(self) -> bool:
        """Return whether the ceiling covers at least what the first reading costs."""
        return self._meter.allowed >= price(self.log.tariff, self._meter.counters)

    def stop(self, reason: str) -> None:
        """End the rental at the last signed reading; the first reason counts."""
        self._reason = self._reason or reason
        self._stopping.set()
        self._changed.set()

    async def serve(self) -> str:
        """Serve until the work is done or something ends it, and return why. Nothing is signed after that.

        Raises DriverFailed only when the machine did not even begin: dead on arrival, and nothing is owed.
        """
        await self._begin()
        watch = asyncio.create_task(self._watch_the_end())
        flags = 0
        try:
            await self._serve_samples()
        except (DriverFailed, BadInput) as error:
            self._announce("driver_failed", rental_id=self._id, reason=str(error))
            self.stop("driver_failed")
            flags = FLAG_DRIVER_FAILED
        finally:
            watch.cancel()
            await asyncio.gather(watch, return_exceptions=True)
            await self._driver.end()
        await self._sign(ReadingEvent.END, flags=flags)
        return self._reason

    async def _begin(self) -> None:
        try:
            await self._driver.begin(self.log.progress)
        except BadInput as error:
            raise DriverFailed(str(error)) from error
        if self.log.last is None:
            try:
                self._tell(self._meter.record(ReadingEvent.BEGIN))
            except NotKept as error:
                await self._driver.end()
                raise DriverFailed(str(error)) from error
            except BaseException:
                await self._driver.end()
                raise

    async def _serve_samples(self) -> None:
        samples = self._driver.samples()
        stopping = asyncio.create_task(self._stopping.wait())
        last = self.log.last
        suspended = last is not None and last.signed.reading.sample.event == ReadingEvent.SUSPEND
        try:
            while not self._stopping.is_set():
                if suspended or not self._meter.has_room_for(self._driver.facts.step):
                    await self._wait_for_room(already_suspended=suspended)
                    suspended = False
                    continue
                sample = await _first(samples, stopping)
                if sample is None:
                    self.stop("finished")
                else:
                    await self._sign_sample(sample)
        finally:
            stopping.cancel()
            await samples.aclose()

    async def _wait_for_room(self, *, already_suspended: bool) -> None:
        await self._driver.pause()
        if not already_suspended:
            await self._sign(ReadingEvent.SUSPEND)
            self._announce("suspended", rental_id=self._id, reason="the next step could pass the ceiling")
        try:
            async with asyncio.timeout(self._terms.rules.detail.grace):
                while not self._stopping.is_set() and not self._meter.has_room_for(self._driver.facts.step):
                    self._changed.clear()
                    await self._changed.wait()
        except TimeoutError:
            self.stop("grace")
        if not self._stopping.is_set():
            await self._sign(ReadingEvent.RESUME)
            await self._driver.resume()
            self._announce("resumed", rental_id=self._id, reason="the renter allowed more")

    async def _watch_the_end(self) -> None:
        while True:
            now = self._time.now()
            if now >= _moment(self._terms.rules.end_by, now):
                self.stop("end_by")
            if (now - self._last_contact).total_seconds() > self._terms.rules.notice:
                self.stop("offline")
            await self._clock.sleep(END_CHECK_SECONDS)

    async def _sign_sample(self, sample: Sample) -> None:
        try:
            logged = self._meter.record(
                ReadingEvent.CONTINUE,
                counters=sample.counters,
                monotonic_ms=sample.monotonic_ms,
                position=sample.position,
            )
        except NotKept as error:
            # What cannot be kept cannot be paid: the machine stands still until it can.
            await self._driver.pause()
            logged = await self._kept_at_last(error)
            if not self._stopping.is_set():
                await self._driver.resume()
        self._tell(logged)

    async def _sign(self, event: ReadingEvent, flags: int = 0) -> None:
        """Sign and keep a reading while the machine stands still."""
        if self._meter.has_unkept:
            self._tell(await self._kept_at_last(None))
        try:
            logged = self._meter.record(event, flags=flags)
        except NotKept as error:
            logged = await self._kept_at_last(error)
        self._tell(logged)

    async def _kept_at_last(self, error: NotKept | None) -> LoggedReading:
        """Try, for as long as it takes, to keep the reading that is signed."""
        if error is not None:
            self._announce("disk_refuses", rental_id=self._id, reason=str(error))
        while True:
            with suppress(NotKept):
                logged = self._meter.keep()
                self._announce("disk_takes_again", rental_id=self._id, seq=logged.seq)
                return logged
            await self._clock.sleep(DISK_AGAIN_SECONDS)

    def _tell(self, logged: LoggedReading) -> None:
        reading = logged.signed.reading
        self._on_reading()
        names = [counter.name for counter in self.log.tariff.counters]
        self._announce(
            "reading",
            rental_id=self._id,
            seq=reading.seq,
            event_name=reading.sample.event.name.lower(),
            counters={name: str(count) for name, count in zip(names, reading.sample.counters, strict=True)},
            amount_due=reading.amount_due,
            allowed=self._meter.allowed,
        )

    @property
    def _id(self) -> str:
        return f"0x{self.log.rental_id.hex()}"


async def _first(samples: AsyncGenerator[Sample, None], stopping: "asyncio.Task[bool]") -> Sample | None:
    """Return the next sample, or None when there is none or the rental is stopped first."""
    coming = asyncio.ensure_future(anext(samples, None))
    try:
        await asyncio.wait({coming, stopping}, return_when=asyncio.FIRST_COMPLETED)
        return coming.result() if coming.done() else None
    finally:
        coming.cancel()
        await asyncio.gather(coming, return_exceptions=True)


def _moment(unix_seconds: int, like: datetime) -> datetime:
    return datetime.fromtimestamp(unix_seconds, tz=like.tzinfo)
