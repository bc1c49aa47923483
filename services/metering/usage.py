"""What counts as usage, beyond what the chain of readings itself demands: how fast a counter may grow.

Counts, never prices.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import NamedTuple

from hireling.rental.chain_rules import SYNCHRONISED, Measured
from hireling.rental.errors import ReadingRefused
from hireling.rental.typed_data import Domain


@dataclass(frozen=True, kw_only=True)
class Terms:
    """What an agreement fixes about measuring.

    ``counter_caps`` are units per real second, ``start_at`` is Unix seconds.

    ``max_total`` bounds ceilings, in base units: a number to compare with, never to reckon with.
    """

    rental_id: bytes
    device: str
    meter: bytes
    renter_agent: bytes
    domain: Domain
    counter_caps: tuple[int, ...]
    start_at: int
    max_total: int


class Head(NamedTuple):
    """How far a rental has come: its last accepted reading and its hash, at first the rental's id."""

    hash: bytes
    last: Measured | None

    @property
    def next_seq(self) -> int:
        """Return the number that comes next."""
        return 0 if self.last is None else self.last.seq + 1

    @property
    def is_over(self) -> bool:
        """Return whether the last reading of the rental is among them."""
        return self.last is not None and self.last.last


def check_rate(
    terms: Terms, *, last: Measured | None, reading: Measured, received_at: datetime, slack_seconds: float
) -> None:
    """Refuse counters that grew faster than the machine can run.

    Two bounds: since the reading before, by the device's own clock; and since the agreed start, by ours, so
    that a device whose clock runs fast gains nothing in the long run. ``slack_seconds`` of running are
    allowed on top of each, for what the machine counts in one go and for clocks that differ.
    """
    counters = reading.counters
    if len(counters) != len(terms.counter_caps):
        detail = f"{len(counters)} counters, the agreed tariff has {len(terms.counter_caps)}"
        raise ReadingRefused("malformed", detail)
    check_since_start(terms, reading, received_at=received_at, slack_seconds=slack_seconds)
    slack_ms = int(slack_seconds * 1000)
    elapsed_ms = 0 if last is None else _elapsed_ms(last, reading)
    if elapsed_ms is not None:
        growth = counters if last is None else _growth(last, reading)
        _check_growth(terms, growth, milliseconds=elapsed_ms + slack_ms, since="the reading before")


def check_since_start(
    terms: Terms, reading: Measured, *, received_at: datetime, slack_seconds: float
) -> None:
    """Refuse by the second bound alone; where a reading meets it, so do those before it."""
    since_start_ms = max(0, int(received_at.timestamp() * 1000) - terms.start_at * 1000)
    milliseconds = since_start_ms + int(slack_seconds * 1000)
    _check_growth(terms, reading.counters, milliseconds=milliseconds, since="the agreed start")


def pace(before: Measured, after: Measured, *, slack_seconds: float) -> list[int] | None:
    """Return the least caps by which `check_rate` takes one reading after another, or None where none does.

    So a run can be checked where nobody knows the caps, and the highest paces be compared with them later.
    """
    elapsed_ms = _elapsed_ms(before, after)
    if elapsed_ms is None:
        return [0] * len(after.counters)
    milliseconds = elapsed_ms + int(slack_seconds * 1000)
    growth = _growth(before, after)
    if milliseconds <= 0:
        return None if any(growth) else [0] * len(growth)
    return [-(-grown * 1000 // milliseconds) for grown in growth]


def _growth(before: Measured, after: Measured) -> list[int]:
    return [now - then for now, then in zip(after.counters, before.counters, strict=True)]


def _check_growth(terms: Terms, growth: Sequence[int], *, milliseconds: int, since: str) -> None:
    for place, cap in enumerate(terms.counter_caps):
        if growth[place] * 1000 > cap * milliseconds:
            raise ReadingRefused(
                "implausible_rate",
                f"counter {place} grew by {growth[place]} since {since}, "
                f"at most {cap} a second in {milliseconds} ms",
            )


def _elapsed_ms(before: Measured, after: Measured) -> int | None:
    """Return the time between two samples, or None where the device cannot know it.

    That is a reboot without a set clock.
    """
    if before.boot == after.boot:
        return after.monotonic_ms - before.monotonic_ms
    if SYNCHRONISED == before.clock == after.clock:
        return max(0, after.wall_ms - before.wall_ms)
    return None
