"""What recording asks of a run of readings: made where the run is opened, small enough to be handed on.

Everything about the inside of a run is settled here, so that the recorder looks at its two ends only. What is
not in order, or depends on what only the recorder knows, is marked: then the recorder walks through the run,
reading by reading, by the same rules.
"""

from collections.abc import Sequence
from datetime import datetime
from typing import NamedTuple

from hireling.rental.chain_rules import SYNCHRONISED, Measured, check_follows
from hireling.rental.errors import ReadingRefused
from services.metering.runs import minutes_of
from services.metering.usage import pace

# Of a rental that began so early, every clock is believed.
BEGINNING = 0
NEVER_MS = 1 << 64


class Gist(NamedTuple):
    """A run's two ends, and what was found out about the rest.

    ``paces`` are the least caps that its growth asks for, None where the run must be walked through.
    ``minutes`` are the run's as `minutes_of` says them for a rental that began by ``oldest_ms``; of a single
    reading there are none, for it is stored with others.
    """

    first: Measured
    head: Measured
    hashes: bytes
    paces: tuple[int, ...] | None
    minutes: str
    oldest_ms: int


def gist_of(
    readings: Sequence[Measured], hashes: Sequence[bytes], *, received_at: datetime, slack_seconds: float
) -> Gist:
    """Return the gist of readings that follow each other."""
    return Gist(
        readings[0],
        readings[-1],
        b"".join(hashes),
        _paces(readings, hashes, slack_seconds=slack_seconds),
        minutes_of(readings, start_at=BEGINNING, received_at=received_at) if len(readings) > 1 else "",
        min([each.wall_ms for each in readings if each.clock == SYNCHRONISED], default=NEVER_MS),
    )


def _paces(
    readings: Sequence[Measured], hashes: Sequence[bytes], *, slack_seconds: float
) -> tuple[int, ...] | None:
    """Return the highest pace of each counter, or None where a rule is broken."""
    before = readings[0]
    highest = [0] * len(before.counters)
    for after, head in zip(readings[1:], hashes, strict=False):
        try:
            check_follows(before, after, head=head)
        except ReadingRefused:
            return None
        paces = pace(before, after, slack_seconds=slack_seconds)
        if paces is None:
            return None
        highest = list(map(max, highest, paces))
        before = after
    return tuple(highest)
