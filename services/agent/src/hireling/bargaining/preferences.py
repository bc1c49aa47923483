"""What one side wants.

The issues on the table, and an additive utility over them: a weight per issue and a worth per value.

Pure and exact in its inputs: worths and weights are floats in [0, 1], and the best outcome has utility 1.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from math import isfinite, prod

# One value per issue, named by its position among the issue's values.
Outcome = tuple[int, ...]

UNACCEPTABLE = -1.0
MOST_OUTCOMES = 100_000  # every outcome is weighed once per session: about 0.1 s for as many


@dataclass(frozen=True)
class Issue:
    """One thing to agree on, and the values it can take, in their natural order."""

    name: str
    values: tuple[str | int | float, ...]

    def __post_init__(self) -> None:
        """Raise ValueError for an issue without values or with one twice."""
        if not self.values or len(set(self.values)) != len(self.values):
            raise ValueError(f"{self.name} needs values, each of them once")


@dataclass(frozen=True)
class AdditiveUtility:
    """Weights that sum to 1, and for each issue how good each value is: 1 the best, 0 the worst.

    ``excluded`` are values, issue by issue, that nothing else makes up for: an outcome with one of them is
    worth less than no deal, whatever no deal is worth.
    """

    weights: tuple[float, ...]
    worths: tuple[tuple[float, ...], ...]
    excluded: tuple[frozenset[int], ...] = ()

    def __post_init__(self) -> None:
        """Raise ValueError for weights or worths outside [0, 1], or weights that do not sum to 1."""
        numbers = (*self.weights, *(worth for table in self.worths for worth in table))
        if not all(isfinite(number) and 0 <= number <= 1 for number in numbers):
            raise ValueError("weights and worths lie in [0, 1]")
        if len(self.weights) != len(self.worths) or abs(sum(self.weights) - 1) > 1e-9:
            raise ValueError(
                f"{len(self.weights)} weights for {len(self.worths)} issues sum to {sum(self.weights)}"
            )
        if self.excluded and len(self.excluded) != len(self.worths):
            raise ValueError(f"{len(self.excluded)} exclusions for {len(self.worths)} issues")
        if not all(self.allowed):
            raise ValueError("an issue has no acceptable value: there is nothing to bargain about")

    def of(self, outcome: Outcome) -> float:
        """Return the utility of an outcome, in [0, 1], or UNACCEPTABLE."""
        if self.excluded and any(value in out for out, value in zip(self.excluded, outcome, strict=True)):
            return UNACCEPTABLE
        return sum([table[value] for table, value in zip(self.scaled, outcome, strict=True)])

    @cached_property
    def allowed(self) -> tuple[tuple[int, ...], ...]:
        """Return the acceptable values of each issue."""
        excluded = self.excluded or (frozenset(),) * len(self.worths)
        return tuple(
            tuple(value for value in range(len(table)) if value not in out)
            for table, out in zip(self.worths, excluded, strict=True)
        )

    @cached_property
    def scaled(self) -> tuple[tuple[float, ...], ...]:
        """Return what each value of each issue adds to the utility."""
        return tuple(
            tuple(weight * worth for worth in table)
            for weight, table in zip(self.weights, self.worths, strict=True)
        )

    def parts(self, outcome: Outcome) -> tuple[float, ...]:
        """Return what each issue adds to the utility of an outcome."""
        return tuple(table[value] for table, value in zip(self.scaled, outcome, strict=True))


def additive(
    weights: Sequence[float],
    worths: Iterable[Sequence[float]],
    excluded: Sequence[frozenset[int]] | None = None,
) -> AdditiveUtility:
    """Return the utility with the weights scaled to sum to 1, and each issue's worths stretched to [0, 1].

    They are stretched over the values that are not excluded. An issue whose values are all alike counts for
    nothing. Raises ValueError where every issue does, or where one has no acceptable value.
    """
    spans, tables = [], []
    out = excluded or (frozenset(),) * len(weights)
    for weight, table, excluded_values in zip(weights, worths, out, strict=True):
        span, stretched = _stretched(table, excluded_values)
        spans.append(weight * span)
        tables.append(stretched)
    total = sum(spans)
    if total <= 0:
        raise ValueError("no issue matters: there is nothing to bargain about")
    return AdditiveUtility(
        weights=tuple(span / total for span in spans), worths=tuple(tables), excluded=tuple(excluded or ())
    )


def _stretched(table: Sequence[float], excluded: frozenset[int]) -> tuple[float, tuple[float, ...]]:
    """Return how far the acceptable values lie apart, and all of them stretched to [0, 1]."""
    kept = [worth for value, worth in enumerate(table) if value not in excluded]
    if not kept:
        raise ValueError("an issue has no acceptable value: there is nothing to bargain about")
    low, high = min(kept), max(kept)
    if high <= low:
        return 0.0, (0.0,) * len(table)
    return high - low, tuple(
        0.0 if value in excluded else (worth - low) / (high - low) for value, worth in enumerate(table)
    )


def rising(count: int, *, power: float = 1.0) -> tuple[float, ...]:
    """Return the worths of ``count`` values of which a later one is better.

    With ``power`` above 1 the last steps matter most, below 1 the first ones.
    """
    return (1.0,) if count == 1 else tuple((place / (count - 1)) ** power for place in range(count))


def falling(count: int, *, power: float = 1.0) -> tuple[float, ...]:
    """Return the worths of ``count`` values of which an earlier one is better; ``power`` as in rising."""
    return rising(count, power=power)[::-1]


def count_outcomes(issues: Sequence[Issue]) -> int:
    """Return how many outcomes the issues have."""
    return prod(len(issue.values) for issue in issues)
