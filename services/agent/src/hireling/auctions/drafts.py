"""Notices as people ask for them: prices from the listing's steps, times from now on."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from hireling.auctions.notice import AuctionNotice, Lot, Rule
from hireling.auctions.steps import steps
from hireling.rental.errors import AuctionRefused
from hireling.rental.listing import SignedListing
from hireling.rental.table import START_STEP


@dataclass(frozen=True, kw_only=True)
class Times:
    """How long each part of an auction takes, in seconds."""

    opens_in: int = 5
    bidding: int = 120
    reveal: int = 60
    step: int = 10
    extension: int = 30
    award: int = 300


def let_machines(
    rule: Rule,
    listings: Sequence[SignedListing],
    *,
    holder: bytes,
    seconds: int,
    reserve_percent: int,
    increment: int,
    times: Times,
    now: datetime,
    salt: bytes,
) -> AuctionNotice:
    """Return the notice by which an owner lets machines: from a percent of the listed price up to all of it.

    Raises AuctionRefused where no price step is left.
    """
    found = steps(listings[0].document, seconds)
    prices = sorted(amount for amount, percent in found.items() if percent >= reserve_percent)
    if not prices:
        raise AuctionRefused("no_price_step", f"the listing has no price step from {reserve_percent} % on")
    opens_at = int(now.timestamp()) + times.opens_in
    bidding = times.step * len(prices) if rule == "dutch" else times.bidding
    terms: dict[str, object] = {
        "rule": rule,
        "holder": holder,
        "lots": tuple(Lot(device=each.document.device, listing=each.hash) for each in listings),
        "prices": tuple(prices),
        "seconds": seconds,
        "opens_at": opens_at,
        "closes_at": opens_at + bidding,
        "award_seconds": times.award,
        "salt": salt,
    }
    settled_by = opens_at + bidding
    if rule == "dutch":
        terms |= {"step_seconds": times.step}
    elif rule == "english":
        settled_by += 4 * times.extension
        terms |= {"increment": increment, "extension_seconds": times.extension, "latest_close": settled_by}
    else:
        settled_by += times.reveal
        terms |= {"reveal_seconds": times.reveal}
    return AuctionNotice.model_validate({**terms, "start_at": _next_start(settled_by, times.award)})


def look_for_machine(
    *,
    holder: bytes,
    renter: bytes,
    kind: str | None,
    seconds: int,
    limit: int,
    times: Times,
    now: datetime,
    salt: bytes,
) -> AuctionNotice:
    """Return the notice by which a renter looks for a machine, for at most ``limit`` base units."""
    opens_at = int(now.timestamp()) + times.opens_in
    closes_at = opens_at + times.bidding
    return AuctionNotice(
        rule="reverse",
        holder=holder,
        renter=renter,
        kind=kind,
        prices=(limit,),
        seconds=seconds,
        start_at=_next_start(closes_at + times.reveal, times.award),
        opens_at=opens_at,
        closes_at=closes_at,
        reveal_seconds=times.reveal,
        award_seconds=times.award,
        salt=salt,
    )


def _next_start(settled_by: int, award_seconds: int) -> int:
    """Return the first quarter of an hour at or after the end that the first award does not outlast."""
    earliest = max(settled_by, settled_by + award_seconds - START_STEP)
    return -(-earliest // START_STEP) * START_STEP
