"""What an owner's agent saw of demand, hour by hour."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import cached_property
from hashlib import sha256

KEPT_FOR = timedelta(weeks=8)
# A flood of questions says no more than so many, and is not kept.
MOST_SESSIONS = 100
MOST_ROWS = 4096


@dataclass(frozen=True, kw_only=True)
class Hour:
    """What happened under one listed price within one hour that began at ``at`` (aware).

    ``questions`` are the sessions opened in it; of those that ended, ``agreed`` and ``lost`` have the
    renters' last offers, with a deal and without one: the listed price or 0 where they made none.
    """

    at: datetime
    price: int
    idle_seconds: int = 0
    busy_seconds: int = 0
    questions: int = 0
    agreed: tuple[int, ...] = ()
    lost: tuple[int, ...] = ()

    def __post_init__(self) -> None:
        """Raise ValueError for what cannot have happened."""
        if self.at.tzinfo is None:
            raise ValueError("an hour begins at an aware time")
        if self.price < 1 or min(self.idle_seconds, self.busy_seconds, self.questions) < 0:
            raise ValueError(f"an hour with a price of {self.price}, or less than nothing in it")

    @cached_property
    def text(self) -> bytes:
        """Return all that it says, for hashing; made once, since hours are looked at many times."""
        return repr(self).encode()

    @property
    def idle_hours(self) -> float:
        """Return how long the machine stood ready, in hours."""
        return self.idle_seconds / 3600

    @property
    def busy_hours(self) -> float:
        """Return how long the machine was in use or promised, in hours."""
        return self.busy_seconds / 3600


@dataclass(frozen=True)
class History:
    """Hours in the order in which they were."""

    hours: tuple[Hour, ...] = ()

    def __post_init__(self) -> None:
        """Raise ValueError for hours out of order."""
        if any(before.at > after.at for before, after in zip(self.hours, self.hours[1:], strict=False)):
            raise ValueError("the hours are out of order")

    @property
    def fingerprint(self) -> str:
        """Return the hash of all of it."""
        return sha256(b"".join(hour.text for hour in self.hours)).hexdigest()

    def before(self, moment: datetime) -> "History":
        """Return the hours that began before a moment."""
        return History(tuple(hour for hour in self.hours if hour.at < moment))

    def since(self, moment: datetime) -> "History":
        """Return the hours that began at a moment or later."""
        return History(tuple(hour for hour in self.hours if hour.at >= moment))


def kept(hours: Iterable[Hour], now: datetime) -> History:
    """Return the history that is worth keeping at ``now``: eight weeks of it, and a bounded number of rows.

    Hours that are yet to come are of a clock that was wrong.
    """
    inside = [hour for hour in hours if now - KEPT_FOR <= hour.at <= now]
    return History(tuple(sorted(inside, key=lambda hour: hour.at)[-MOST_ROWS:]))
