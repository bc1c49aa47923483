"""What the owner fixed: between which prices its agent may move, how far at once, and how often.

Prices are whole base units of the token for one of the machine's units of use, such as a kWh. The other
parts of a tariff keep their proportion to it.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta, tzinfo

HOURS_OF_WEEK = 168
HOUR = timedelta(hours=1)
MOST_COMPARED = 300


@dataclass(frozen=True, kw_only=True)
class PriceRules:
    """An owner's bounds on its pricing agent.

    ``listed`` is what the owner would list the machine for itself, ``step`` the most that one change may add
    or take away, ``least_between`` the least time from one change to the next. ``preferred`` are hours of the
    week in the owner's ``zone`` (0 is Monday from midnight): outside them nothing is listed under ``listed``;
    none means that all hours are alike. ``usual_span`` is how long a rental takes until history says it.
    """

    listed: int
    floor: int
    ceiling: int
    step: int
    least_between: timedelta = HOUR
    preferred: frozenset[int] = frozenset()
    zone: tzinfo = UTC
    usual_span: timedelta = HOUR

    def __post_init__(self) -> None:
        """Raise ValueError for bounds that contradict each other."""
        if not 0 < self.floor <= self.listed <= self.ceiling:
            raise ValueError(
                f"a floor of {self.floor}, a price of {self.listed} and a ceiling of {self.ceiling}:"
                " they must be above 0 and in this order"
            )
        if self.step < 1:
            raise ValueError(f"a step of {self.step}, at least 1")
        if self.least_between <= timedelta(0) or self.usual_span <= timedelta(0):
            raise ValueError("the least time between changes and a rental's usual time must be above 0")
        if any(not 0 <= hour < HOURS_OF_WEEK for hour in self.preferred):
            raise ValueError(f"hours of the week are from 0 to {HOURS_OF_WEEK - 1}")

    def least_at(self, now: datetime) -> int:
        """Return the least price that may be listed at ``now``."""
        if self.preferred and self.hour_of_week(now) not in self.preferred:
            return self.listed
        return self.floor

    def hour_of_week(self, at: datetime) -> int:
        """Return which hour of the owner's week a moment is in."""
        local = at.astimezone(self.zone)
        return local.weekday() * 24 + local.hour

    def hours_from(self, at: datetime, span: timedelta) -> Iterator[tuple[int, float]]:
        """Return the hours of the week that a span touches, and how long each of them, in hours."""
        ends = at + span
        while at < ends:
            upto = min(ends, at - (at - at.replace(minute=0, second=0, microsecond=0)) + HOUR)
            yield self.hour_of_week(at), (upto - at) / HOUR
            at = upto

    def prices(self, least: int) -> Iterator[int]:
        """Return the prices that are compared, from ``least`` to the ceiling.

        They are a hundredth of listed apart, and more where that would be too many.
        """
        apart = max(1, self.listed // 100, (self.ceiling - least) // MOST_COMPARED)
        yield from range(least, self.ceiling, apart)
        yield self.ceiling
