"""The replay driver: a power trace becomes an energy counter, on the trace's own clock."""

import math
from collections.abc import AsyncGenerator, Sequence
from fractions import Fraction
from pathlib import Path

from hireling.clock import Clock
from hireling.drivers.driver import BadInput, Facts, Pricing, Progress, Sample
from hireling.drivers.replay.trace import Row, read_trace
from hireling.rental.tariff import CounterSpec

COUNTER = "energy_mJ"
MILLIJOULES_PER_KWH = 3_600_000_000
SHORTEST_ROW_MS = 1  # readings carry whole milliseconds
BLOCK_SECONDS = 600
SHORTEST_BLOCK_SECONDS = 10


class ReplayDriver:
    """Plays a trace back ``speed`` times faster than it was recorded: one sample a row."""

    def __init__(self, rows: Sequence[Row], *, speed: int, clock: Clock, title: str) -> None:
        self._rows = tuple(rows)
        self._speed = speed
        self._clock = clock
        self._gaps_ms = [row.seconds * 1000 / speed for row in self._rows]
        self._check_speed()
        self._totals = _running_totals(self._rows)
        self._row = 0
        self._released_ms = 0
        self._facts = self._describe(title)

    @classmethod
    def open(
        cls,
        path: Path,
        *,
        column: str,
        speed: int,
        interval: Fraction | None,
        clock: Clock,
        title: str | None,
    ) -> "ReplayDriver":
        """Read the trace and return its driver. Raises BadInput when the file or the speed does not work."""
        rows = read_trace(path, column=column, interval=interval)
        return cls(rows, speed=speed, clock=clock, title=title or f"Replay of {path.stem}")

    @property
    def facts(self) -> Facts:
        """Return what a listing says of the recorded machine."""
        return self._facts

    async def begin(self, progress: Progress) -> None:
        """Stand before the first row, or before the row after the last one that was signed."""
        if not 0 <= progress.position <= len(self._rows):
            raise BadInput(
                f"the trace has {len(self._rows)} rows, and the rental had come to row {progress.position}"
            )
        if progress.counters != (self._total(progress.position),):
            raise BadInput(
                f"this is not the trace the rental began with: after row {progress.position} it has measured"
                f" {self._total(progress.position)} mJ, the last reading says {progress.counters[0]} mJ"
            )
        self._row = progress.position

    async def samples(self) -> AsyncGenerator[Sample, None]:
        """Hold each row for its time, then give what had been measured by its end."""
        self._released_ms = self._clock.monotonic_ms()
        while self._row < len(self._rows):
            await self._hold(self._gaps_ms[self._row])
            self._row += 1
            self._released_ms = self._clock.monotonic_ms()
            yield Sample(
                counters=(self._total(self._row),), monotonic_ms=self._released_ms, position=self._row
            )

    async def pause(self) -> None:
        """Nothing to stop: the next row waits for its sample to be asked for."""

    async def resume(self) -> None:
        """Hold the next row for its whole time from now on."""
        self._released_ms = self._clock.monotonic_ms()

    async def end(self) -> None:
        """Nothing to free."""

    async def _hold(self, gap_ms: Fraction) -> None:
        # Never early, not even by the clock's rounding: a reading that came early would look like a
        # machine running too fast.
        until = self._released_ms + gap_ms
        while (left := until - self._clock.monotonic_ms()) > 0:
            await self._clock.sleep(float(left) / 1000)

    def _total(self, rows: int) -> int:
        return self._totals[rows - 1] if rows else 0

    def _check_speed(self) -> None:
        shortest = min(row.seconds for row in self._rows)
        fastest = int(shortest * 1000 / SHORTEST_ROW_MS)
        if self._speed < 1 or self._speed > fastest:
            raise BadInput(
                f"speed {self._speed}: this trace can be played at 1 to {fastest} times its own pace"
            )

    def _describe(self, title: str) -> Facts:
        # Exact, because a row is never released before its whole time has passed on the readings' own clock.
        peak = max(
            math.ceil((math.floor(row.energy_mj) + 1) * 1000 / gap)
            for row, gap in zip(self._rows, self._gaps_ms, strict=True)
        )
        lasts = math.ceil(sum(self._gaps_ms) / 1000)
        return Facts(
            kind="appliance",
            title=title,
            description=f"A recorded machine: {len(self._rows)} rows of power, {self._speed} times faster",
            time_factor=self._speed,
            counters=(CounterSpec(name=COUNTER, unit="mJ", max_per_second=peak),),
            step=(max(math.floor(row.energy_mj) + 1 for row in self._rows),),
            pricing=Pricing(
                counter=COUNTER, per=MILLIJOULES_PER_KWH, unit="kWh", default="0.40", default_flat="0.05"
            ),
            ceiling_seconds=max(SHORTEST_BLOCK_SECONDS, BLOCK_SECONDS // self._speed),
            # Twice its length: a busy computer sleeps longer than asked.
            default_seconds=2 * lasts + 30,
        )


def _running_totals(rows: Sequence[Row]) -> list[int]:
    totals, exact = [], Fraction(0)
    for row in rows:
        exact += row.energy_mj
        # Rounded down from the exact sum each time, so that no error adds up.
        totals.append(math.floor(exact))
    return totals
