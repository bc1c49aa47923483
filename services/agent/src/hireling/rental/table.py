"""What is on the table: an outcome of the agenda as the terms of an offer, and back.

Pure, and the same for both agents, the platform and whoever replays a session: an offer whose terms are no
outcome of its listing's agenda is refused.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from functools import lru_cache

from hireling.rental.errors import OfferRefused
from hireling.rental.listing import ListingDocument
from hireling.rental.money import divide_up
from hireling.rental.quote import QuoteRequest
from hireling.rental.tariff import Tariff, scaled, worst_case

# Starts are rounded down to a quarter of an hour, so that the chain tells less about who does what when.
START_STEP = 900
# One value per issue, named by its position among the issue's values.
Outcome = tuple[int, ...]
# The terms that bargaining is about; ``end_by`` and the amounts follow from them.
NEGOTIATED = ("tariff", "seconds", "start_at", "deposit", "budget")


@dataclass(frozen=True, kw_only=True)
class Terms:
    """What an offer says of the issues, in its own words."""

    tariff: Tariff
    seconds: int
    start_at: int
    deposit: int
    budget: int | None


@dataclass(frozen=True, kw_only=True)
class Table:
    """One session's table: a listing, and what a renter asked of it."""

    listing: ListingDocument
    request: QuoteRequest

    @property
    def start(self) -> int:
        """Return the start asked for, in Unix seconds, rounded down to a quarter of an hour."""
        return self.request.start_at - self.request.start_at % START_STEP

    def terms(self, outcome: Outcome) -> Terms:
        """Return an outcome of the agenda as an offer says it."""
        listing, request = self.listing, self.request
        price, duration, delay, deposit, cap = (
            values[place] for values, place in zip(listing.agenda.issues.values(), outcome, strict=True)
        )
        tariff = _scaled(listing.tariff, price)
        seconds = max(1, request.seconds * duration // 100)
        return Terms(
            tariff=tariff,
            seconds=seconds,
            start_at=self.start + delay,
            deposit=listing.deposit * deposit // 100,
            budget=_budget(request.budget, worst_case(tariff, seconds), cap),
        )

    def outcome(self, terms: Terms) -> Outcome:
        """Return the outcome that an offer's terms are; of several alike the first.

        Raises OfferRefused for terms that are not on the agenda.
        """
        agenda, request = self.listing.agenda, self.request
        price = _places(self.listing.tariff, agenda.price).get(terms.tariff)
        if price is None:
            raise _off_agenda("price")
        duration = _place(
            "duration",
            (terms.seconds == max(1, request.seconds * percent // 100) for percent in agenda.duration),
        )
        start = _place("start", (terms.start_at == self.start + delay for delay in agenda.start))
        deposit = _place(
            "deposit",
            (terms.deposit == self.listing.deposit * percent // 100 for percent in agenda.deposit),
        )
        worst = worst_case(terms.tariff, terms.seconds)
        cap = _place(
            "cap", (terms.budget == _budget(request.budget, worst, percent) for percent in agenda.cap)
        )
        return (price, duration, start, deposit, cap)


@lru_cache(maxsize=256)
def _places(listed: Tariff, percents: tuple[int, ...]) -> dict[Tariff, int]:
    """Return where each tariff of an agenda stands on it: made once a listing, asked for each offer."""
    places: dict[Tariff, int] = {}
    for place, percent in enumerate(percents):
        places.setdefault(_scaled(listed, percent), place)
    return places


def _scaled(listed: Tariff, percent: int) -> Tariff:
    return listed if percent == 100 else scaled(listed, percent, 100)


def _budget(asked: int | None, worst: int, percent: int) -> int | None:
    if percent == 100:
        return asked
    cap = divide_up(worst * percent, 100)
    return cap if asked is None else min(asked, cap)


def _place(issue: str, matches: Iterable[bool]) -> int:
    found = next((place for place, match in enumerate(matches) if match), None)
    if found is None:
        raise _off_agenda(issue)
    return found


def _off_agenda(issue: str) -> OfferRefused:
    return OfferRefused("off_agenda", f"the offer's {issue} is none that the listing puts on the table")
