"""Time as agents see it: wall time for people and deadlines, a monotonic clock for durations."""

import asyncio
import ctypes
import os
import time
from collections.abc import Coroutine, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Protocol

from hireling.rental.hashing import keccak256
from hireling.rental.reading import ClockQuality

BOOT_ID = Path("/proc/sys/kernel/random/boot_id")
TIME_ERROR = 5  # adjtimex(2): the clock is not synchronised
TIMEX_BYTES = 208  # sizeof(struct timex) on 64-bit Linux


class Clock(Protocol):
    """What tells an agent the time; tests bring their own."""

    @property
    def boot(self) -> bytes:
        """Return 32 bytes that name this boot of the machine: monotonic times compare only within one."""
        ...

    def now(self) -> datetime:
        """Return the wall time, aware, UTC."""
        ...

    def monotonic_ms(self) -> int:
        """Return milliseconds that only ever grow within one boot."""
        ...

    def quality(self) -> ClockQuality:
        """Return whether the wall clock follows a time server."""
        ...

    async def sleep(self, seconds: float) -> None:
        """Wait."""
        ...


def growing(first: float, *, longest: float) -> Iterator[float]:
    """Yield seconds to wait between two looks: each a quarter more than the one before.

    Whoever has waited long is not much later for it, and a marketplace that is busy is asked less often.
    """
    pause = first
    while True:
        yield pause
        pause = min(pause * 1.25, longest)


async def comes_within(clock: Clock, seconds: float, awaited: Coroutine[Any, Any, object]) -> bool:
    """Wait for something, so long at most by this clock, and return whether it came; else it is cancelled."""
    coming, waiting = asyncio.ensure_future(awaited), asyncio.ensure_future(clock.sleep(seconds))
    try:
        await asyncio.wait({coming, waiting}, return_when=asyncio.FIRST_COMPLETED)
        return coming.done()
    finally:
        coming.cancel()
        waiting.cancel()
        await asyncio.gather(coming, waiting, return_exceptions=True)


class SystemClock:
    """This computer's clocks."""

    def __init__(self) -> None:
        self._boot = keccak256(_boot_name())

    @property
    def boot(self) -> bytes:
        """Return the hash of the kernel's boot id: it tells boots apart and nothing of the machine."""
        return self._boot

    def now(self) -> datetime:
        """Return the wall time, aware, UTC."""
        return datetime.now(UTC)

    def monotonic_ms(self) -> int:
        """Return CLOCK_BOOTTIME in milliseconds: nobody sets it, and it counts on while a machine sleeps."""
        return time.clock_gettime_ns(time.CLOCK_BOOTTIME) // 1_000_000

    def quality(self) -> ClockQuality:
        """Return what the kernel says of its clock's discipline (adjtimex, read only)."""
        state = ctypes.CDLL(None).adjtimex(ctypes.create_string_buffer(TIMEX_BYTES))
        return ClockQuality.UNSYNCHRONISED if state in {-1, TIME_ERROR} else ClockQuality.SYNCHRONISED

    async def sleep(self, seconds: float) -> None:
        """Wait."""
        await asyncio.sleep(seconds)


class SteadyTime:
    """Wall time that nobody can set while it runs.

    It is what the wall clock said at the beginning, and what the monotonic clock has counted since.
    """

    def __init__(self, clock: Clock, *, not_before: datetime | None = None) -> None:
        """Begin now, or at ``not_before`` where the wall clock is behind it."""
        self._clock = clock
        self._began = clock.now() if not_before is None else max(clock.now(), not_before)
        self._began_ms = clock.monotonic_ms()

    def now(self) -> datetime:
        """Return the time, aware, UTC."""
        return self._began + timedelta(milliseconds=self._clock.monotonic_ms() - self._began_ms)


def _boot_name() -> bytes:
    if BOOT_ID.exists():
        return BOOT_ID.read_bytes()
    # Without a boot id every start of the agent counts as a boot: durations are then never compared
    # across starts.
    return os.urandom(16)


def wall_ms(moment: datetime) -> int:
    """Return milliseconds since the Unix epoch, exact to the millisecond, for an aware moment."""
    since = moment - datetime(1970, 1, 1, tzinfo=UTC)
    return since.days * 86_400_000 + since.seconds * 1000 + since.microseconds // 1000
