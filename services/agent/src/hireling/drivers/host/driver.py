"""The host driver: this computer does a fixed piece of work.

The meter is the operating system's accounting of that process.
"""

import asyncio
import os
import platform
import signal
import sys
from asyncio.subprocess import PIPE, Process
from collections.abc import AsyncGenerator

from hireling.clock import Clock
from hireling.drivers.driver import DriverFailed, Facts, Pricing, Progress, Sample
from hireling.drivers.host.accounting import cpu_ms
from hireling.rental.tariff import CounterSpec

TICK_SECONDS = 0.5
TICKS_PER_STEP = 4  # a busy computer wakes late; what a tick missed beyond this is not charged
STEP_MS = int(TICK_SECONDS * 1000) * TICKS_PER_STEP
# One core of one thread, and a tenth for the accounting's own grain.
CPU_MS_PER_SECOND = 1100
WALL_MS_PER_SECOND = 1000
DEFAULT_BLOCKS = 700
START_WITHIN = 20.0
STOP_WITHIN = 5.0


class HostDriver:
    """Runs ``blocks`` blocks of hashing and meters ``cpu_ms`` and ``wall_ms``."""

    def __init__(self, *, clock: Clock, blocks: int = DEFAULT_BLOCKS, title: str | None = None) -> None:
        self._clock = clock
        self._blocks = blocks
        self._child: Process | None = None
        self._done = asyncio.Event()
        self._finished_blocks = 0
        self._counters = (0, 0)
        self._read_cpu_ms = self._read_at_ms = 0
        self._watch: asyncio.Task[None] | None = None
        self._facts = _describe(blocks, title)

    @property
    def facts(self) -> Facts:
        """Return what a listing says of this computer."""
        return self._facts

    async def begin(self, progress: Progress) -> None:
        """Start the child process; it waits, ready, until the first sample is asked for."""
        self._counters = (progress.counters[0], progress.counters[1])
        self._finished_blocks = progress.position
        self._done.clear()
        left = self._blocks - progress.position
        try:
            self._child = await asyncio.create_subprocess_exec(
                sys.executable, "-m", "hireling.drivers.host.workload", str(left), str(os.getpid()),
                stdin=PIPE, stdout=PIPE,
            )  # fmt: skip
            async with asyncio.timeout(START_WITHIN):
                said = await self._pipe_out().readline()
        except (OSError, TimeoutError) as error:
            await self.end()
            raise DriverFailed(f"the workload did not start within {START_WITHIN:.0f} s: {error}") from error
        if said.strip() != b"ready":
            await self.end()
            raise DriverFailed(f"the workload said {said!r} instead of getting ready")

    async def samples(self) -> AsyncGenerator[Sample, None]:
        """Let the child work, and measure it every half second and once at its end."""
        child = self._running_child()
        self._start_measuring()
        if child.stdin is not None:
            child.stdin.write(b"go\n")
        self._watch = asyncio.create_task(self._count_blocks(self._finished_blocks))
        while not self._watch.done():
            await asyncio.wait({self._watch}, timeout=TICK_SECONDS)
            yield self._measure()
        if self._finished_blocks < self._blocks:
            raise DriverFailed(f"the workload ended after {self._finished_blocks} of {self._blocks} blocks")

    async def pause(self) -> None:
        """Freeze the child."""
        self._running_child().send_signal(signal.SIGSTOP)

    async def resume(self) -> None:
        """Let the child go on; the time it was frozen counts for nothing."""
        child = self._running_child()
        self._start_measuring()
        child.send_signal(signal.SIGCONT)

    async def end(self) -> None:
        """Kill and reap the child."""
        if self._watch is not None:
            self._watch.cancel()
            await asyncio.gather(self._watch, return_exceptions=True)
            self._watch = None
        child, self._child = self._child, None
        if child is None:
            return
        if child.returncode is None:
            child.kill()
        if child.stdin is not None:
            child.stdin.close()
        async with asyncio.timeout(STOP_WITHIN):
            await child.communicate()

    def _start_measuring(self) -> None:
        self._read_cpu_ms = cpu_ms(self._running_child().pid)
        self._read_at_ms = self._clock.monotonic_ms()

    def _measure(self) -> Sample:
        used, at = cpu_ms(self._running_child().pid), self._clock.monotonic_ms()
        # The processor's accounting may run ahead of the clock by its grain; the listing's rate is
        # kept over every tick.
        cpu_cap = (at - self._read_at_ms) * CPU_MS_PER_SECOND // 1000
        self._counters = (
            self._counters[0] + min(used - self._read_cpu_ms, cpu_cap, STEP_MS),
            self._counters[1] + min(at - self._read_at_ms, STEP_MS),
        )
        self._read_cpu_ms, self._read_at_ms = used, at
        return Sample(counters=self._counters, monotonic_ms=at, position=self._finished_blocks)

    async def _count_blocks(self, before: int) -> None:
        # Ends when the last block is done, or when the child's output does.
        async for line in self._pipe_out():
            self._finished_blocks = before + int(line)
            if self._finished_blocks >= self._blocks:
                return

    def _running_child(self) -> Process:
        if self._child is None or self._child.returncode is not None:
            raise DriverFailed("the workload is not running")
        return self._child

    def _pipe_out(self) -> asyncio.StreamReader:
        child = self._running_child()
        if child.stdout is None:
            raise DriverFailed("the workload has no output")
        return child.stdout


def _describe(blocks: int, title: str | None) -> Facts:
    return Facts(
        kind="computer",
        title=title or f"This computer ({platform.machine()}, {os.cpu_count()} cores)",
        description=f"Runs {blocks} blocks of hashing, metered by the operating system's accounting",
        time_factor=1,
        counters=(
            CounterSpec(name="cpu_ms", unit="ms", max_per_second=CPU_MS_PER_SECOND),
            CounterSpec(name="wall_ms", unit="ms", max_per_second=WALL_MS_PER_SECOND),
        ),
        step=(STEP_MS, STEP_MS),
        pricing=Pricing(
            counter="cpu_ms", per=3_600_000, unit="CPU hour", default="3.60", default_flat="0.001"
        ),
        ceiling_seconds=30,
        default_seconds=120,
        details={
            "system": platform.system(),
            "architecture": platform.machine(),
            "cores": os.cpu_count() or 1,
        },
    )
