"""Settings as people say them: ``never under 0.12 per kWh, prefer evenings, short rentals fine``.

Phrases are parted by commas. What no pattern fits is refused with what would: nobody's bound is guessed.
"""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any, TypeVar

from hireling.bargaining.wishes import ISSUES, OwnerWishes, RenterWishes

Wishes = TypeVar("Wishes", OwnerWishes, RenterWishes)
# What "matters most" and "matters little" make of an issue's weight; "does not matter" makes it nothing.
MOST, LITTLE = 12.0, 0.3
PRICE = r"(?P<amount>\d+(?:\.\d+)?)"
PERCENT = r"(?P<percent>100|[1-9]?\d) ?(?:%|percent)"
UNITS = {"min": 60, "minutes": 60, "h": 3600, "hours": 3600, "s": 1, "seconds": 1}


class NotUnderstood(Exception):
    """A phrase that means nothing here; the message says what would."""


@dataclass(frozen=True)
class OwnerSays:
    """An owner's phrases. ``least_price`` is an amount per ``unit``, for whoever knows the listed price."""

    wishes: OwnerWishes
    least_price: str | None = None
    unit: str | None = None


@dataclass(frozen=True)
class RenterSays:
    """A renter's phrases. ``budget`` is an amount for all the use."""

    wishes: RenterWishes
    budget: str | None = None


Change = Callable[[Mapping[str, str]], Mapping[str, Any]]
_SHARED: Mapping[str, Change] = {
    rf"walk away under {PERCENT}": lambda said: {"walk_away_percent": int(said["percent"])},
}
_OWNER: Mapping[str, Change] = {
    rf"never under {PERCENT}": lambda said: {"least_price_percent": max(1, int(said["percent"]))},
    rf"never under {PRICE} per (?P<unit>\w+)": lambda said: {
        "least_price": said["amount"],
        "unit": said["unit"],
    },
    r"prefer (?P<part>mornings|afternoons|evenings|nights)": lambda said: {"prefer": said["part"]},
    r"short rentals fine": lambda _: {"weight": ("duration", LITTLE)},
    r"no short rentals": lambda _: {"shortest_percent": 100},
    r"full deposit": lambda _: {"least_deposit_percent": 100},
    **_SHARED,
}
_RENTER: Mapping[str, Change] = {
    rf"never over {PERCENT}": lambda said: {"most_price_percent": int(said["percent"])},
    rf"never over {PRICE}": lambda said: {"budget": said["amount"]},
    r"start now": lambda _: {"latest_start_seconds": 0},
    rf"start within (?P<count>\d+) ?(?P<unit>{'|'.join(UNITS)})": lambda said: {
        "latest_start_seconds": int(said["count"]) * UNITS[said["unit"]]
    },
    r"shorter is fine": lambda _: {"shortest_percent": 1},
    rf"at least {PERCENT} of the time": lambda said: {"shortest_percent": int(said["percent"])},
    rf"at most {PERCENT} of the deposit": lambda said: {"most_deposit_percent": int(said["percent"])},
    rf"at least {PERCENT} of the use": lambda said: {"least_cap_percent": int(said["percent"])},
    **_SHARED,
}
_MATTERS = re.compile(rf"(?P<issue>{'|'.join(ISSUES)}) (?P<how>matters most|matters little|does not matter)")
_WEIGHTS = {"matters most": MOST, "matters little": LITTLE, "does not matter": 0.0}
OWNER_EXAMPLES = (
    "never under 0.12 per kWh, never under 80 %, prefer evenings, short rentals fine, no short rentals, "
    "full deposit, price matters most, walk away under 20 %"
)
RENTER_EXAMPLES = (
    "never over 0.50, never over 90 %, start within 30 min, shorter is fine, at least 50 % of the time, "
    "at most 50 % of the deposit, at least 80 % of the use, start matters most, walk away under 20 %"
)


def owner_says(text: str, wishes: OwnerWishes) -> OwnerSays:
    """Return an owner's settings with what its phrases change. Raises NotUnderstood."""
    changes = _changes(text, _OWNER, OWNER_EXAMPLES)
    return OwnerSays(
        least_price=changes.pop("least_price", None),
        unit=changes.pop("unit", None),
        wishes=_changed(wishes, changes),
    )


def renter_says(text: str, wishes: RenterWishes) -> RenterSays:
    """Return a renter's settings with what its phrases change. Raises NotUnderstood."""
    changes = _changes(text, _RENTER, RENTER_EXAMPLES)
    return RenterSays(budget=changes.pop("budget", None), wishes=_changed(wishes, changes))


def _changes(text: str, patterns: Mapping[str, Change], examples: str) -> dict[str, Any]:
    found: dict[str, Any] = {"weights": {}}
    for phrase in (part.strip() for part in re.split(r"[,;]", text)):
        if not phrase:
            continue
        change = _change(phrase, patterns)
        if change is None:
            raise NotUnderstood(f"{phrase!r} is not understood; phrases are such as: {examples}")
        said = dict(change)
        if weight := said.pop("weight", None):
            found["weights"][weight[0]] = weight[1]
        found |= said
    return found


def _change(phrase: str, patterns: Mapping[str, Change]) -> Mapping[str, Any] | None:
    plain = re.sub(r"\s+", " ", phrase)
    if match := _MATTERS.fullmatch(plain.lower()):
        return {"weight": (match["issue"], _WEIGHTS[match["how"]])}
    for pattern, change in patterns.items():
        if match := re.fullmatch(pattern, plain, re.IGNORECASE):
            return change(match.groupdict())
    return None


def _changed(wishes: Wishes, changes: dict[str, Any]) -> Wishes:
    weights = {**wishes.weights, **changes.pop("weights")}
    return replace(wishes, weights=weights, **changes)
