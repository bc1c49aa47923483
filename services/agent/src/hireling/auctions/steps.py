"""An amount of an auction as a price step of a listing's agenda, and the offer that a won amount makes.

So an auction finds a price on the very table on which two agents would bargain: the agreement that follows
goes by the same checks, mandates and replay as any other.
"""

from collections.abc import Mapping
from datetime import datetime
from functools import lru_cache
from types import MappingProxyType

from hireling.rental.errors import AuctionRefused
from hireling.rental.listing import ListingDocument
from hireling.rental.offer import LONGEST_OFFER_SECONDS, Offer, PlatformTerms, QuoteRequest, first_offer
from hireling.rental.table import Outcome, Table
from hireling.rental.tariff import Tariff, amounts, scaled, worst_case

# A marketplace refuses an offer of more than LONGEST_OFFER_SECONDS, by its own clock.
WON_OFFER_SECONDS = LONGEST_OFFER_SECONDS - 60


def steps(listing: ListingDocument, seconds: int) -> Mapping[int, int]:
    """Return what ``seconds`` cost at worst, in base units, at each price step: amount -> percent.

    Of steps that cost the same, the first on the agenda counts.
    """
    return _steps(listing.tariff, listing.agenda.price, seconds)


def percent_of(listing: ListingDocument, seconds: int, amount: int) -> int:
    """Return the price step at which ``seconds`` cost this amount. Raises AuctionRefused if none does."""
    percent = steps(listing, seconds).get(amount)
    if percent is None:
        raise AuctionRefused(
            "no_price_step", f"{amount} is not what {seconds} s cost at any price step of the listing"
        )
    return percent


def won_outcome(listing: ListingDocument, seconds: int, amount: int) -> Outcome:
    """Return where a won amount stands on the agenda: its price step, everything else as it was asked."""
    return (listing.agenda.price.index(percent_of(listing, seconds, amount)), 0, 0, 0, 0)


def won_offer(  # noqa: PLR0917  as first_offer, and the amount
    listing: ListingDocument,
    request: QuoteRequest,
    platform: PlatformTerms,
    now: datetime,
    salt: bytes,
    quote_id: str,
    amount: int,
    *,
    until: int,
) -> Offer:
    """Return round 0 for a winner: the won amount for what was asked. Raises as first_offer does.

    It is good as long as the award, ``until`` a Unix second, or as long as an offer may be: a winner cannot
    ask again, since its question would be the same.
    """
    offer = first_offer(listing, request, platform, now, salt, quote_id)
    outcome = won_outcome(listing, request.seconds, amount)
    terms = Table(listing=listing, request=request).terms(outcome)
    follow = amounts(terms.tariff, terms.seconds, terms.budget, listing.ceiling_seconds)
    good_until = {"valid_until": min(until, int(now.timestamp()) + WON_OFFER_SECONDS)}
    return Offer.model_validate({**dict(offer), **vars(terms), **follow, **good_until})


def check_won_offer(listing: ListingDocument, request: QuoteRequest, offer: Offer, *, amount: int) -> None:
    """Raise AuctionRefused unless an offer is what the winner of an auction was awarded."""
    outcome = won_outcome(listing, request.seconds, amount)
    terms = Table(listing=listing, request=request).terms(outcome)
    for name, value in vars(terms).items():
        if getattr(offer, name) != value:
            raise AuctionRefused(
                "not_as_won", f"the auction was won for {amount}: the offer's {name} differs"
            )


@lru_cache(maxsize=256)
def _steps(tariff: Tariff, percents: tuple[int, ...], seconds: int) -> Mapping[int, int]:
    """Return the steps of a tariff: made once an auction, asked for each bid."""
    found: dict[int, int] = {}
    for percent in percents:
        found.setdefault(
            worst_case(tariff if percent == 100 else scaled(tariff, percent, 100), seconds), percent
        )
    return MappingProxyType(found)
