"""What an owner or a renter wants, in plain settings, and the utility that it makes over a listing's agenda.

Bounds exclude values: nothing makes up for them. Everything else is a wish with a weight. No deal is worth
nothing unless ``walk_away_percent`` says otherwise, so whatever lies inside the bounds is taken at last.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, tzinfo
from types import MappingProxyType

from hireling.bargaining.preferences import AdditiveUtility, Issue, additive
from hireling.rental.agenda import Agenda
from hireling.rental.appointment import DayPart

# First and last hour of each part of the day, local time, the last one included.
HOURS: Mapping[DayPart, tuple[int, int]] = {
    "mornings": (6, 11),
    "afternoons": (12, 16),
    "evenings": (17, 22),
    "nights": (23, 5),
}
HALF_A_DAY = 12
NOTHING: Mapping[str, frozenset[int]] = MappingProxyType({})
ISSUES = ("price", "duration", "start", "deposit", "cap")
# How much each issue matters unless somebody says otherwise: what a machine earns or costs comes first.
OWNER_WEIGHTS: Mapping[str, float] = {"price": 6, "duration": 2, "start": 1, "deposit": 1, "cap": 1}
RENTER_WEIGHTS: Mapping[str, float] = {"price": 6, "duration": 2, "start": 2, "deposit": 1, "cap": 1}


@dataclass(frozen=True)
class Preferences:
    """What one side wants: the input of a negotiator."""

    issues: tuple[Issue, ...]
    utility: AdditiveUtility
    reservation: float


@dataclass(frozen=True, kw_only=True)
class OwnerWishes:
    """An owner's settings; shares are in percent of what was listed or asked for."""

    least_price_percent: int = 1
    prefer: DayPart | None = None
    shortest_percent: int = 1
    least_deposit_percent: int = 1
    walk_away_percent: int = 0
    weights: Mapping[str, float] = field(default_factory=dict)

    def preferences(
        self,
        agenda: Agenda,
        *,
        start: int,
        zone: tzinfo = UTC,
        taken: frozenset[int] = frozenset(),
        barred: Mapping[str, frozenset[int]] = NOTHING,
    ) -> Preferences:
        """Return what this owner wants of a rental asked to begin at ``start`` (Unix seconds).

        ``taken`` are the starts, by their place on the agenda, at which the machine is promised to others;
        ``barred`` are values of other issues, by their place, that are out of the question beside its bounds.

        Raises ValueError where no value of an issue is within its bounds.
        """
        tables = {
            "price": agenda.price,
            "duration": agenda.duration,
            "start": [self._start_worth(start + delay, zone) for delay in agenda.start],
            "deposit": agenda.deposit,
            "cap": agenda.cap,
        }
        own = {
            "price": _below(agenda.price, self.least_price_percent),
            "duration": _below(agenda.duration, self.shortest_percent),
            "start": taken,
            "deposit": _below(agenda.deposit, self.least_deposit_percent),
        }
        excluded = {name: out | barred.get(name, frozenset()) for name, out in own.items()}
        weights = {**OWNER_WEIGHTS, **self.weights}
        return _preferences(agenda, tables, excluded, weights=weights, walk_away=self.walk_away_percent)

    def _start_worth(self, start: int, zone: tzinfo) -> float:
        if self.prefer is None:
            return 1.0
        first, last = HOURS[self.prefer]
        hour = datetime.fromtimestamp(start, zone).hour
        if (hour - first) % 24 <= (last - first) % 24:
            return 1.0
        return 1 - min((first - hour) % 24, (hour - last) % 24) / HALF_A_DAY


@dataclass(frozen=True, kw_only=True)
class RenterWishes:
    """A renter's settings; shares are in percent of what was listed or asked for."""

    most_price_percent: int = 100
    latest_start_seconds: int = 0
    shortest_percent: int = 100
    most_deposit_percent: int = 100
    least_cap_percent: int = 100
    walk_away_percent: int = 0
    weights: Mapping[str, float] = field(default_factory=dict)

    def preferences(self, agenda: Agenda) -> Preferences:
        """Return what this renter wants. Raises ValueError where nothing is within its bounds."""
        tables = {
            "price": [-percent for percent in agenda.price],
            "duration": agenda.duration,
            "start": [-delay for delay in agenda.start],
            "deposit": [-percent for percent in agenda.deposit],
            "cap": [-percent for percent in agenda.cap],
        }
        excluded = {
            "price": _above(agenda.price, self.most_price_percent),
            "duration": _below(agenda.duration, self.shortest_percent),
            "start": _above(agenda.start, self.latest_start_seconds),
            "deposit": _above(agenda.deposit, self.most_deposit_percent),
            "cap": _below(agenda.cap, self.least_cap_percent),
        }
        weights = {**RENTER_WEIGHTS, **self.weights}
        return _preferences(agenda, tables, excluded, weights=weights, walk_away=self.walk_away_percent)


def _preferences(
    agenda: Agenda,
    tables: Mapping[str, Sequence[float]],
    excluded: Mapping[str, frozenset[int]],
    *,
    weights: Mapping[str, float],
    walk_away: int,
) -> Preferences:
    issues = tuple(Issue(name, values) for name, values in agenda.issues.items())
    out = [excluded.get(name, frozenset()) for name in ISSUES]
    for issue, excluded_values in zip(issues, out, strict=True):
        if len(excluded_values) == len(issue.values):
            raise ValueError(f"no {issue.name} on the table is within the bounds set for it")
    unit = [_unit(tables[name]) for name in ISSUES]
    try:
        utility = additive([weights[name] for name in ISSUES], unit, out)
    except ValueError:
        utility = _indifferent(issues, out)
    return Preferences(issues=issues, utility=utility, reservation=walk_away / 100)


def _indifferent(issues: Sequence[Issue], out: Sequence[frozenset[int]]) -> AdditiveUtility:
    """Return the utility of somebody to whom everything within the bounds is alike, and as good as can be."""
    worths = tuple((1.0,) * len(issue.values) for issue in issues)
    return AdditiveUtility(weights=(1.0, *(0.0,) * (len(issues) - 1)), worths=worths, excluded=tuple(out))


def _unit(table: Sequence[float]) -> list[float]:
    """Return a table stretched to [0, 1] over all its values: its weight is for its whole span."""
    low, high = min(table), max(table)
    return [(value - low) / (high - low) if high > low else 0.0 for value in table]


def _below(values: Sequence[int], least: int) -> frozenset[int]:
    return frozenset(place for place, value in enumerate(values) if value < least)


def _above(values: Sequence[int], most: int) -> frozenset[int]:
    return frozenset(place for place, value in enumerate(values) if value > most)
