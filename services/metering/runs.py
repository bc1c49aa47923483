"""Accepted readings as they are stored: runs of consecutive readings of one rental, a row each.

Readings that came together stay together: a signed batch is one row, and its readings share the moment they
arrived. What queries need of a run stands beside its document, so that none has to parse it: the hashes, and
which minutes it lies in.
"""

import json
from collections.abc import Sequence
from datetime import datetime
from typing import Any, NamedTuple

from hireling.rental.chain_rules import SYNCHRONISED, Measured

# Of one row. Whoever looks for a number looks at the rows that begin up to this many numbers before it.
MOST_IN_RUN = 100
HASH_BYTES = 32
MINUTE_MS = 60_000
# How long before its agreed start a rental's reading may say that it was taken: starts are rounded, and
# clocks of devices and platform differ.
EARLIEST_BEFORE_START_MS = 24 * 3_600_000


class Run(NamedTuple):
    """A row: the readings from ``first_seq`` to ``last_seq``, at most MOST_IN_RUN.

    ``hashes`` are their hashStructs one after the other, so that the last 32 bytes are the head that every
    one of them is proven by. ``document`` is a ReadingBatch as JSON. ``minutes`` is what `minutes_of` says.
    """

    rental_id: str
    first_seq: int
    last_seq: int
    received_at: datetime
    hashes: bytes
    document: str
    minutes: str


def taken_ms(wall_ms: int, clock: int, *, arrived_ms: int, earliest_ms: int) -> int:
    """Return when a sample was taken, Unix milliseconds: the time axis of charts and roll-ups.

    That is what the device says where it says that its clock is synchronised, and never after the sample
    arrived. Where it says nothing, or a moment from before its rental, it is when the sample arrived.
    """
    if clock != SYNCHRONISED or wall_ms < earliest_ms:
        return arrived_ms
    return wall_ms if wall_ms < arrived_ms else arrived_ms


def clock_bounds(*, start_at: int, received_at: datetime) -> tuple[int, int]:
    """Return the arrival and the earliest believable moment of a run's readings, Unix milliseconds."""
    return int(received_at.timestamp() * 1_000), start_at * 1_000 - EARLIEST_BEFORE_START_MS


def minutes_of(readings: Sequence[Measured], *, start_at: int, received_at: datetime) -> str:
    """Return in which minutes consecutive readings were taken, as JSON that the database takes apart.

    One list for each stretch of readings in the same minute: the minute's begin in Unix seconds, first and
    last number, the first one's amount and counters, the last one's. Amounts and counters are text: they are
    longer than a database's integers.
    """
    arrived_ms, earliest_ms = clock_bounds(start_at=start_at, received_at=received_at)
    minutes = [
        taken_ms(each.wall_ms, each.clock, arrived_ms=arrived_ms, earliest_ms=earliest_ms) // MINUTE_MS
        for each in readings
    ]
    stretches, begin = [], 0
    for place in range(1, len(readings) + 1):
        if place == len(readings) or minutes[place] != minutes[begin]:
            stretches.append(_stretch(minutes[begin], readings[begin], readings[place - 1]))
            begin = place
    return f"[{','.join(stretches)}]"


def _stretch(minute: int, first: Measured, last: Measured) -> str:
    return f"[{minute * 60},{first.seq},{last.seq},{_state(first)},{_state(last)}]"


def _state(reading: Measured) -> str:
    counters = reading.counters
    written = '["' + '","'.join(map(str, counters)) + '"]' if counters else "[]"
    return f'"{reading.amount_due}",{written}'


def readings_in(document: str) -> list[dict[str, Any]]:
    """Return a run's readings, each by itself as it travelled: signed by its own signature."""
    readings: list[dict[str, Any]] = json.loads(document)["readings"]
    return readings


def hashes_between(begins: int, hashes: bytes, first_seq: int, last_seq: int) -> list[bytes]:
    """Return the hashes of those of a run's readings that are in this range; `begins` is its first number."""
    low = max(0, first_seq - begins) * HASH_BYTES
    high = min(len(hashes), (last_seq - begins + 1) * HASH_BYTES)
    return [hashes[place : place + HASH_BYTES] for place in range(low, high, HASH_BYTES)]
