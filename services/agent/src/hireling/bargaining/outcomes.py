"""All outcomes of a session, sorted by our utility: made once per utility, then asked in every move."""

from bisect import bisect_left
from collections.abc import Callable, Sequence
from functools import lru_cache
from itertools import product

from hireling.bargaining.preferences import AdditiveUtility, Outcome


class OutcomeSpace:
    """Every acceptable outcome with its utility, worst first."""

    def __init__(self, utility: AdditiveUtility) -> None:
        """List the acceptable outcomes of ``utility``'s issues."""
        allowed = utility.allowed
        pairs = zip(utility.scaled, allowed, strict=True)
        tables = [[table[value] for value in kept] for table, kept in pairs]
        ranked = sorted(zip(map(sum, product(*tables)), product(*allowed), strict=True))
        self.utilities: Sequence[float] = [worth for worth, _ in ranked]
        self.outcomes: Sequence[Outcome] = [outcome for _, outcome in ranked]

    @property
    def best(self) -> Outcome:
        """Return the outcome we like best."""
        return self.outcomes[-1]

    def at_least(self, level: float) -> int:
        """Return the position of the worst outcome of at least ``level``, the best one's if none is."""
        return min(bisect_left(self.utilities, level), len(self.outcomes) - 1)

    def band(self, low: float, *, width: float, fewest: int) -> Sequence[Outcome]:
        """Return the outcomes from ``low`` to ``low + width``; at least ``fewest`` where there are any."""
        first = self.at_least(low)
        last = max(bisect_left(self.utilities, low + width), first + fewest)
        return self.outcomes[first:last]

    def best_for(self, wanted: Callable[[Outcome], float], among: Sequence[Outcome]) -> Outcome:
        """Return the outcome with the most of ``wanted``, of equals the one we like better."""
        return max(enumerate(among), key=lambda ranked: (wanted(ranked[1]), ranked[0]))[1]


@lru_cache(maxsize=16)
def space_of(utility: AdditiveUtility) -> OutcomeSpace:
    """Return the outcomes of ``utility``'s issues, sorted by it."""
    return OutcomeSpace(utility)
