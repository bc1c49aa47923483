"""Time-dependent concession.

Each side starts far out and gives way a little every round (Faratin, Sierra, Jennings 1998).

Pure: terms in, a decision and its reason out. Prices are compared as a percentage of the listed tariff, by
its weakest component, so that nobody can hide a cut in the one rate that matters.
"""

from dataclasses import dataclass
from fractions import Fraction

from hireling.rental.tariff import Tariff

LAST_ROUND = 8  # protocol.md: at most eight rounds after the first offer


@dataclass(frozen=True)
class Accept:
    """Sign what is on the table."""

    reason: str


@dataclass(frozen=True)
class Counter:
    """Offer the listed tariff at ``percent`` of its price."""

    percent: int
    reason: str


@dataclass(frozen=True)
class Leave:
    """Walk away."""

    reason: str


Decision = Accept | Counter | Leave


def share_of(listed: Tariff, offered: Tariff) -> Fraction:
    """Return the lowest share of a listed component that the offered tariff still asks.

    0 where a component is missing.

    Only tariffs over the same counters compare; others share nothing.
    """
    if offered.counters != listed.counters or offered.currency != listed.currency:
        return Fraction(0)
    if len(offered.rates) != len(listed.rates):
        return Fraction(0)
    shares = [_share(listed.flat, offered.flat), _share(listed.minimum, offered.minimum)]
    for ours, theirs in zip(listed.rates, offered.rates, strict=True):
        if (ours.kind, ours.counter) != (theirs.kind, theirs.counter):
            return Fraction(0)
        shares.append(_share(Fraction(ours.rate, ours.per), Fraction(theirs.rate, theirs.per)))
    if offered.maximum is not None:
        if listed.maximum is None:
            return Fraction(0)
        shares.append(_share(listed.maximum, offered.maximum))
    return min(shares)


def _share(listed: int | Fraction, offered: int | Fraction) -> Fraction:
    return Fraction(1) if listed == 0 else Fraction(offered) / Fraction(listed)


def owner_target_percent(*, floor_percent: int, round_number: int) -> int:
    """Return what the owner asks in this round, in percent of the listed tariff.

    It is 100 at first, and the floor in the last round.
    """
    given_way = Fraction((100 - floor_percent) * min(round_number, LAST_ROUND), LAST_ROUND)
    return 100 - int(given_way)


def owner_reply(*, listed: Tariff, offered: Tariff, floor_percent: int, round_number: int) -> Decision:
    """Decide on a renter's counter-offer made in ``round_number`` (odd)."""
    share = share_of(listed, offered) * 100
    target = owner_target_percent(floor_percent=floor_percent, round_number=round_number + 1)
    if share >= target:
        return Accept(f"{_percent(share)} of the listed price is at least the {target} % asked in this round")
    if round_number >= LAST_ROUND - 1:
        if share >= floor_percent:
            return Accept(
                f"{_percent(share)} is above the floor of {floor_percent} %, and it is the last round"
            )
        return Leave(f"{_percent(share)} of the listed price is below the floor of {floor_percent} %")
    return Counter(
        target, f"{_percent(share)} of the listed price is less than the {target} % asked in this round"
    )


def renter_reply(
    *, all_in: int, budget: int, counters_made: int, counters_wanted: int, opening_percent: int
) -> Decision:
    """Decide on an owner's offer whose worst case, deposit included, is ``all_in`` token base units."""
    if counters_made < counters_wanted:
        # Each later counter gives half of what is left of the discount.
        discount = Fraction(100 - opening_percent, 2**counters_made)
        return Counter(
            100 - int(discount), f"asking once costs nothing: {100 - int(discount)} % of the listed price"
        )
    if all_in <= budget:
        return Accept(f"the worst case of {all_in} is within the budget of {budget}")
    return Leave(f"the worst case of {all_in} is above the budget of {budget}")


def _percent(share: Fraction) -> str:
    return f"{float(share):.1f} %"
