"""The meter: counters become a priced, chained, signed reading that is on the disk before anyone sees it."""

from dataclasses import dataclass

from hireling.clock import Clock, wall_ms
from hireling.device.log import RentalLog
from hireling.device.log_contents import LoggedReading
from hireling.drivers.driver import DriverFailed
from hireling.rental.ceiling import SignedCeiling, allowed
from hireling.rental.reading import (
    ClockQuality,
    Reading,
    ReadingChain,
    ReadingEvent,
    Sample,
    SignedReading,
    sign_reading,
)
from hireling.rental.signing import Signer
from hireling.rental.tariff import price

FLAG_DRIVER_FAILED = 1  # bit 0 of a reading's flags: the machine broke


@dataclass(frozen=True)
class _Unkept:
    """A reading that is signed, and not on the disk: nobody has seen it."""

    signed: SignedReading
    position: int
    chain: ReadingChain


class Meter:
    """Signs the readings of one rental; nothing else holds its chain."""

    def __init__(self, log: RentalLog, *, key: Signer, clock: Clock) -> None:
        self._log = log
        self._key = key
        self._clock = clock
        self._chain = log.chain
        self._agreement = log.start.agreement.agreement
        self._prepaid = self._agreement.pay.max_total * log.start.funded_bps // 10_000
        self._unkept: _Unkept | None = None

    @property
    def amount_due(self) -> int:
        """Return the last reading's amount, 0 before the first."""
        return self._chain.last.amount_due if self._chain.last else 0

    @property
    def counters(self) -> tuple[int, ...]:
        """Return the last reading's counters."""
        return self._log.progress.counters

    @property
    def allowed(self) -> int:
        """Return how high the amount may rise under the ceiling that the log holds."""
        return self.allowed_by(self._log.ceiling)

    def allowed_by(self, ceiling: SignedCeiling | None) -> int:
        """Return how high the amount may rise under this ceiling."""
        return allowed(self._agreement, ceiling.ceiling if ceiling else None, self._prepaid)

    def has_room_for(self, step: tuple[int, ...]) -> bool:
        """Return whether the amount stays allowed even if every counter rises by its whole step."""
        worst = [counter + most for counter, most in zip(self.counters, step, strict=True)]
        return price(self._log.tariff, worst) <= self.allowed

    def record(
        self,
        event: ReadingEvent,
        *,
        counters: tuple[int, ...] | None = None,
        monotonic_ms: int | None = None,
        position: int | None = None,
        flags: int = 0,
    ) -> LoggedReading:
        """Price, sign and keep a reading; what is not given stays as it was. END is the last one.

        Raises DriverFailed instead of signing more than the renter allowed, and NotKept where the disk does
        not take it: then `keep` it before anything else is signed, for its number is used up.
        """
        if self._unkept is not None:
            raise RuntimeError(f"reading {self._unkept.signed.reading.seq} is signed and not kept yet")
        counted = self.counters if counters is None else counters
        amount = price(self._log.tariff, counted)
        if amount > self.allowed:
            raise DriverFailed(
                f"the machine counted {counted}, worth {amount}; not charged, as {self.allowed} is allowed"
            )
        reading = Reading(
            rental_id=self._log.rental_id,
            seq=self._chain.next_seq,
            amount_due=amount,
            last=event is ReadingEvent.END,
            sample=self._sample(event, counted, monotonic_ms, flags),
        )
        domain = self._log.start.agreement.domain
        signed = sign_reading(self._key, domain, reading)
        chain = self._chain.accept(signed)  # what the whole world will check, checked before it is kept
        at = self._log.progress.position if position is None else position
        self._unkept = _Unkept(signed, at, chain)
        return self.keep()

    @property
    def has_unkept(self) -> bool:
        """Return whether a reading is signed that the disk did not take."""
        return self._unkept is not None

    def keep(self) -> LoggedReading:
        """Keep the reading that is signed and not kept yet, the very bytes. Raises NotKept."""
        if self._unkept is None:
            raise RuntimeError("every signed reading is kept")
        unkept = self._unkept
        logged = self._log.append_reading(unkept.signed, position=unkept.position)
        self._chain, self._unkept = unkept.chain, None
        return logged

    def _sample(
        self, event: ReadingEvent, counters: tuple[int, ...], monotonic_ms: int | None, flags: int
    ) -> Sample:
        now_ms, moment_ms = self._clock.monotonic_ms(), wall_ms(self._clock.now())
        measured_ms = now_ms if monotonic_ms is None else monotonic_ms
        quality = self._clock.quality()
        before = self._chain.last.sample if self._chain.last else None
        if before is not None:
            # A wall clock that was set back must not make a reading look older than the one before, and
            # nobody can tell by it how long a reboot took.
            if moment_ms < before.wall_ms:
                moment_ms, quality = before.wall_ms, ClockQuality.UNSYNCHRONISED
            if before.boot == self._clock.boot:
                measured_ms = max(measured_ms, before.monotonic_ms)
        return Sample(
            previous=self._chain.head_hash,
            counters=counters,
            boot=self._clock.boot,
            monotonic_ms=measured_ms,
            wall_ms=moment_ms,
            clock=quality,
            event=event,
            flags=flags,
        )
