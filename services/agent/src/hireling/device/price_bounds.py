"""Between which prices a pricing agent moves: from the owner's own words to rules, and to the disk."""

from dataclasses import dataclass, replace
from datetime import datetime, timedelta, timezone
from typing import Any

from hireling.auctions.steps import percent_of
from hireling.bargaining.wishes import HOURS, OwnerWishes
from hireling.device.offering import Wishes, amount_of, bargaining_wishes, listed_price
from hireling.device.price_journal import Mode
from hireling.drivers.driver import BadInput, Facts
from hireling.pricing.rules import PriceRules
from hireling.rental.appointment import DayPart
from hireling.rental.errors import AuctionRefused
from hireling.rental.listing import ListingDocument
from hireling.rental.money import Token


@dataclass(frozen=True, kw_only=True)
class PricingWishes:
    """What the owner asks of its pricing agent."""

    mode: Mode = "off"
    ceiling: str | None = None
    """The most per unit of use that it may list."""
    step_percent: int = 8
    every_minutes: int = 60


def price_rules(
    facts: Facts, wishes: Wishes, pricing: PricingWishes, *, token: Token, now: datetime
) -> PriceRules:
    """Return the bounds: the floor is the least that the owner would bargain down to. Raises BadInput."""
    if pricing.ceiling is None:
        raise BadInput(f"--pricing {pricing.mode} needs --ceiling: the most to list per {facts.pricing.unit}")
    listed = listed_price(facts, wishes, token)
    wanted = bargaining_wishes(facts, wishes, token)
    try:
        return PriceRules(
            listed=listed,
            floor=-(-listed * wanted.least_price_percent // 100),
            ceiling=amount_of(pricing.ceiling, token, "ceiling"),
            step=max(1, listed * pricing.step_percent // 100),
            least_between=timedelta(minutes=pricing.every_minutes),
            preferred=hours_of_week(wanted.prefer),
            zone=timezone(now.astimezone().utcoffset() or timedelta(0)),
            usual_span=timedelta(seconds=facts.default_seconds),
        )
    except ValueError as error:
        raise BadInput(str(error)) from error


def hours_of_week(part: DayPart | None) -> frozenset[int]:
    """Return the hours of the week that a part of the day is, none where none is preferred."""
    if part is None:
        return frozenset()
    first, last = HOURS[part]
    span = (last - first) % 24 + 1
    return frozenset(day * 24 + (first + hour) % 24 for day in range(7) for hour in range(span))


def held_to(wishes: OwnerWishes, rules: PriceRules, price: int) -> OwnerWishes:
    """Return the owner's wishes at a listed price: bargaining goes no more under the floor than listing."""
    percent = min(100, -(-rules.floor * 100 // price))
    return replace(wishes, least_price_percent=max(wishes.least_price_percent, percent))


def require_floor(wishes: OwnerWishes, listing: ListingDocument, seconds: int, amount: int) -> None:
    """Raise AuctionRefused where an auction found less than the owner would bargain down to."""
    percent, least = percent_of(listing, seconds, amount), wishes.least_price_percent
    if percent < least:
        raise AuctionRefused(
            "below_floor",
            f"the auction found {percent} % of the listed price, the owner's floor is {least} %: "
            "set an auction's reserve no lower",
        )


def kept_rules(rules: PriceRules, now: datetime) -> dict[str, Any]:
    """Return rules as a journal keeps them; the zone as what it is ahead of UTC by now."""
    offset = rules.zone.utcoffset(now) or timedelta(0)
    return {
        "listed": rules.listed,
        "floor": rules.floor,
        "ceiling": rules.ceiling,
        "step": rules.step,
        "least_seconds": int(rules.least_between.total_seconds()),
        "preferred": sorted(rules.preferred),
        "offset_seconds": int(offset.total_seconds()),
        "usual_seconds": int(rules.usual_span.total_seconds()),
    }


def rules_of(bounds: dict[str, Any]) -> PriceRules:
    """Return the bounds that a journal was kept under."""
    return PriceRules(
        listed=bounds["listed"],
        floor=bounds["floor"],
        ceiling=bounds["ceiling"],
        step=bounds["step"],
        least_between=timedelta(seconds=bounds["least_seconds"]),
        preferred=frozenset(bounds["preferred"]),
        zone=timezone(timedelta(seconds=bounds["offset_seconds"])),
        usual_span=timedelta(seconds=bounds["usual_seconds"]),
    )
