"""What history says: how many ask in each hour of the week, and how that answers to the price.

Demand is a count a time, so each hour's rate has a gamma prior (conjugate to Poisson counts): an hour of the
week is drawn to the same hour of all working days or of the weekend, and that to the mean of all, the more
the less was seen of it. The answer to prices is in two parts, each a posterior over a grid of few values:

- ``asking``: of those who would ask at the listed price, exp(-g (p / listed - 1)) ask at p;
- ``taking``: of those who ask, 1 / (1 + exp(k (p / listed - m))) take p: what they would pay at most is
  spread about m. What matters is whether a listed price leads to a deal, bargained down or not. A session
  without one says that its renter would have taken its own last offer and not the price asked (an interval).

Both priors have their weight where the owner's own price is about right; data moves them.
"""

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from math import exp, lgamma, log

from hireling.pricing.history import History, Hour
from hireling.pricing.rules import HOURS_OF_WEEK, PriceRules

# How many idle hours of the hours above it in the tree a rate is worth.
DRAWN_TO_KIND_OF_DAY = 6.0
DRAWN_TO_MEAN = 12.0
# One question a day, worth a day: what is thought of a machine nobody saw yet.
PRIOR_QUESTIONS, PRIOR_IDLE_HOURS = 1.0, 24.0
# What a rental's usual time is worth, in rentals.
PRIOR_RENTALS = 3.0
STEEPNESS = (0.0, 0.25, 0.5, 0.75, 1.0, 1.5, 2.0, 3.0, 4.5, 6.0)
MIDDLES = (0.3, 0.5, 0.65, 0.8, 0.9, 1.0, 1.1, 1.2, 1.35, 1.5, 1.75, 2.0, 2.5)
SPREADS = (1.5, 2.5, 4.0, 6.0, 9.0, 14.0)
# The mean of the exponential prior of asking's steepness, and the normal prior of the middle.
PRIOR_STEEPNESS = 0.3
PRIOR_MIDDLE, PRIOR_MIDDLE_DEVIATION = 1.2, 0.4
# Sessions end for reasons that have nothing to do with the price.
OTHER_REASONS = 0.03
SATURDAY = 5
LARGEST_EXPONENT = 500.0
Cells = Mapping[int, Sequence[tuple[float, float, int]]]


@dataclass(frozen=True)
class Response:
    """Posteriors of how demand answers to prices: (g, weight), and (m, k, weight)."""

    asking: tuple[tuple[float, float], ...]
    taking: tuple[tuple[float, float, float], ...]

    def asks(self, above: float) -> float:
        """Return how many ask at (1 + above) times the listed price, of those who do at the listed one."""
        return sum(weight * exp(-steep * above) for steep, weight in self.asking)

    def takes(self, above: float) -> float:
        """Return which share of those who ask takes (1 + above) times the listed price."""
        return sum(weight * taken(above, middle, steep) for middle, steep, weight in self.taking)


@lru_cache(maxsize=4096)
def begun(response: Response, above: float) -> float:
    """Return how many rentals begin at (1 + above) times the listed price, for each who asks at that one."""
    return response.asks(above) * response.takes(above)


@dataclass(frozen=True)
class Learned:
    """What is known: questions per idle hour at the listed price by hour of the week, and the rest."""

    rates: tuple[float, ...]
    response: Response
    span_hours: float
    questions: int
    watched_hours: float


def taken(above: float, middle: float, steep: float) -> float:
    """Return which share of those who ask takes (1 + above) times the listed price, by one guess."""
    beyond = steep * (1 + above - middle)
    return 1 / (1 + exp(min(beyond, LARGEST_EXPONENT)))


@lru_cache(maxsize=8)
def learn(history: History, rules: PriceRules) -> Learned:
    """Return what history says under these rules."""
    cells = _cells(history, rules)
    asking, rates = _asking(cells)
    busy = sum(hour.busy_hours for hour in history.hours)
    rentals = sum(len(hour.agreed) for hour in history.hours)
    usual = rules.usual_span.total_seconds() / 3600
    return Learned(
        rates=rates,
        response=Response(asking=asking, taking=_taking(history.hours, rules)),
        span_hours=(busy + PRIOR_RENTALS * usual) / (rentals + PRIOR_RENTALS),
        questions=sum(hour.questions for hour in history.hours),
        watched_hours=busy + sum(hour.idle_hours for hour in history.hours),
    )


def _cells(history: History, rules: PriceRules) -> Cells:
    """Return, for each hour of the week, (above, idle hours, questions) for each price it was listed for."""
    sums: dict[tuple[int, int], tuple[float, int]] = defaultdict(lambda: (0.0, 0))
    for hour in history.hours:
        key = rules.hour_of_week(hour.at), hour.price
        idle, questions = sums[key]
        sums[key] = idle + hour.idle_hours, questions + hour.questions
    cells: dict[int, list[tuple[float, float, int]]] = defaultdict(list)
    for (place, price), (idle, questions) in sums.items():
        cells[place].append((price / rules.listed - 1, idle, questions))
    return cells


def _asking(cells: Cells) -> tuple[tuple[tuple[float, float], ...], tuple[float, ...]]:
    fits = [_fit(cells, steep) for steep in STEEPNESS]
    weights = _normal([fit[0] - steep / PRIOR_STEEPNESS for fit, steep in zip(fits, STEEPNESS, strict=True)])
    rates = tuple(
        sum(weight * fit[1][place] for weight, fit in zip(weights, fits, strict=True))
        for place in range(HOURS_OF_WEEK)
    )
    return tuple(zip(STEEPNESS, weights, strict=True)), rates


def _fit(cells: Cells, steep: float) -> tuple[float, list[float]]:
    """Return how likely the questions are at this steepness (log), and the rates that it makes."""
    seen = [0] * HOURS_OF_WEEK
    exposed = [0.0] * HOURS_OF_WEEK
    likely = 0.0
    for place, column in cells.items():
        for above, idle, questions in column:
            seen[place] += questions
            exposed[place] += idle * exp(-steep * above)
            likely -= steep * above * questions
    mean = (sum(seen) + PRIOR_QUESTIONS) / (sum(exposed) + PRIOR_IDLE_HOURS)
    kinds_seen: Counter[tuple[bool, int]] = Counter()
    kinds_exposed: Counter[tuple[bool, int]] = Counter()
    for place in range(HOURS_OF_WEEK):
        kinds_seen[_kind(place)] += seen[place]
        kinds_exposed[_kind(place)] += exposed[place]  # type: ignore[assignment]
    rates = []
    for place in range(HOURS_OF_WEEK):
        kind = _kind(place)
        parent = (kinds_seen[kind] + DRAWN_TO_MEAN * mean) / (kinds_exposed[kind] + DRAWN_TO_MEAN)
        rates.append((seen[place] + DRAWN_TO_KIND_OF_DAY * parent) / (exposed[place] + DRAWN_TO_KIND_OF_DAY))
        if exposed[place] or seen[place]:
            likely += _log_count(seen[place], exposed[place], parent)
    return likely, rates


def _kind(place: int) -> tuple[bool, int]:
    """Return whether an hour of the week is on a weekend, and its hour of the day."""
    return place // 24 >= SATURDAY, place % 24


def _log_count(seen: int, exposed: float, parent: float) -> float:
    """Return how likely a count is (log, but for a constant) under a gamma prior about its parent's rate."""
    shape, rate = DRAWN_TO_KIND_OF_DAY * parent, DRAWN_TO_KIND_OF_DAY
    return shape * log(rate) - lgamma(shape) + lgamma(shape + seen) - (shape + seen) * log(rate + exposed)


def _taking(hours: Iterable[Hour], rules: PriceRules) -> tuple[tuple[float, float, float], ...]:
    ends: Counter[tuple[float | None, float | None]] = Counter()
    for hour in hours:
        asked = hour.price / rules.listed - 1
        if hour.agreed:
            ends[asked, None] += len(hour.agreed)
        for offered in hour.lost:
            is_offer = 0 < offered < hour.price
            ends[offered / rules.listed - 1 if is_offer else None, asked] += 1
    grid = [(middle, steep) for middle in MIDDLES for steep in SPREADS]
    logs = [
        sum(count * _log_end(end, middle, steep) for end, count in ends.items())
        - ((middle - PRIOR_MIDDLE) / PRIOR_MIDDLE_DEVIATION) ** 2 / 2
        for middle, steep in grid
    ]
    return tuple((*pair, weight) for pair, weight in zip(grid, _normal(logs), strict=True))


def _log_end(end: tuple[float | None, float | None], middle: float, steep: float) -> float:
    """Return how likely a session's end is (log): taken ``would``, if any, and not ``would_not``, if any."""
    would, would_not = end
    odds = 1.0 if would is None else taken(would, middle, steep)
    if would_not is not None:
        odds -= taken(would_not, middle, steep)
    return log(OTHER_REASONS + (1 - OTHER_REASONS) * odds)


def _normal(logs: Sequence[float]) -> list[float]:
    most = max(logs)
    odds = [exp(value - most) for value in logs]
    return [value / sum(odds) for value in odds]
