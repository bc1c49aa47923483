"""What other prices would have earned: an estimate by what was learned, never a measurement.

Nobody knows who would have come at a price that was not listed. What is learned of demand says how many to
expect, at both prices, in the same hours; every guess that it does not rule out makes a range.
"""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import product

from hireling.pricing.earning import Prospect
from hireling.pricing.history import Hour
from hireling.pricing.learning import Learned, Response
from hireling.pricing.rules import PriceRules

# Guesses less likely than this are left out; nine tenths of the rest lie between the ends of the range.
LEAST_WEIGHT = 1e-3
ENDS = (0.05, 0.95)


@dataclass(frozen=True)
class Gain:
    """How much more the other prices would have earned, as shares: 0.1 is a tenth more."""

    expected: float
    low: float
    high: float


def gain(hours: Sequence[tuple[Hour, int]], learned: Learned, rules: PriceRules) -> Gain | None:
    """Return what other prices would have earned beside the listed ones, None where nothing was expected.

    Each hour comes with the price that it is compared with.
    """
    spent: dict[tuple[int, int, int], float] = defaultdict(float)
    for hour, other in hours:
        spent[rules.hour_of_week(hour.at), hour.price, other] += hour.idle_hours + hour.busy_hours
    expected = _ratio(spent, learned, learned.response, rules)
    if expected is None:
        return None
    guesses = sorted(
        (ratio, weight)
        for response, weight in _guesses(learned.response)
        if (ratio := _ratio(spent, learned, response, rules)) is not None
    )
    low, high = (_quantile(guesses, share) for share in ENDS)
    return Gain(expected - 1, min(low, expected) - 1, max(high, expected) - 1)


def _guesses(response: Response) -> list[tuple[Response, float]]:
    return [
        (Response(((steep, 1.0),), ((middle, spread, 1.0),)), one * other)
        for (steep, one), (middle, spread, other) in product(response.asking, response.taking)
        if one * other >= LEAST_WEIGHT
    ]


def _ratio(
    spent: dict[tuple[int, int, int], float], learned: Learned, response: Response, rules: PriceRules
) -> float | None:
    listed = others = 0.0
    for (place, price, other), hours in spent.items():
        prospect = Prospect(learned.rates[place], learned.span_hours, response)
        listed += hours * prospect.earns(price, rules)
        others += hours * prospect.earns(other, rules)
    return others / listed if listed > 0 else None


def _quantile(guesses: Sequence[tuple[float, float]], share: float) -> float:
    """Return the ratio below which this share of the guesses' weight lies."""
    left = share * sum(weight for _, weight in guesses)
    for ratio, weight in guesses:
        left -= weight
        if left <= 0:
            return ratio
    return guesses[-1][0] if guesses else 1.0
