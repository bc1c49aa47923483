"""What a flag holds back: the tail that the renter has not acknowledged, for a while, and never more. Pure.

A flag says that a reading looks wrong. Until the renter acknowledges what that reading asks, or a person
clears the flag, or claims are about to end, only what is acknowledged is claimed. Then the tail is claimed
as any other: the challenge window comes after that, and has its own default.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime


@dataclass(frozen=True)
class Standing:
    """A flag: what its reading asks, in base units, and whether a person has cleared it."""

    amount_due: int
    cleared: bool


def holds(flag: Standing, *, acknowledged: int, now: datetime, until: datetime) -> bool:
    """Return whether the flag holds the tail back at ``now``, the chain's time.

    ``until`` is when claims are about to end, and ``acknowledged`` what the renter's newest ceiling says.
    """
    return not flag.cleared and flag.amount_due > acknowledged and now < until


def is_held(flags: Iterable[Standing], *, acknowledged: int, now: datetime, until: datetime) -> bool:
    """Return whether any of the flags holds the tail back."""
    return any(holds(flag, acknowledged=acknowledged, now=now, until=until) for flag in flags)
