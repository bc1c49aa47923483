"""When a machine is promised to whom: the stretch of time that an agreement takes of its device's calendar.

Pure, and the same for the platform and the device.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from hireling.rental.table import START_STEP

# An agreement without its money keeps others from its slot no longer; the first that is funded has it.
HOLD = timedelta(seconds=60)


@dataclass(frozen=True, order=True)
class Slot:
    """A stretch of time in Unix seconds: its start is in it, its end is not, so neighbours may touch."""

    start: int
    end: int

    def overlaps(self, other: "Slot") -> bool:
        """Return whether the two have a moment in common."""
        return self.start < other.end and other.start < self.end


def end_by(*, fund_by: int, start_at: int, seconds: int, grace: int) -> int:
    """Return when a rental ends at the latest: with all its seconds, were it funded at the last moment."""
    return max(fund_by, start_at) + seconds + grace


def slot_of(*, start_at: int, ends: int, turnaround: int, now: datetime) -> Slot:
    """Return what an agreement takes from ``now`` on: until it ``ends``, and ``turnaround`` seconds more.

    A start of this quarter of an hour lies before now; nobody needs what is past.
    """
    return Slot(start=max(start_at, int(now.timestamp())), end=ends + turnaround)


def next_start(taken: Sequence[Slot], slot_at: Callable[[int], Slot], *, after: int) -> int:
    """Return the first start from ``after`` on whose slot is free; later ones are at quarters of an hour."""
    start = after
    while clashes := [slot for slot in taken if slot.overlaps(slot_at(start))]:
        end = max(slot.end for slot in clashes)
        start = end + -end % START_STEP
    return start
