"""Our own strategy, made for few rounds.

It asks for much and holds, because what the other side gives way in its last rounds is worth more than what
an early concession buys; it offers, of all outcomes about as good for us, the one the other side seems to
like best; and in its last offers it comes down to what the other side has shown that it will take.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

from hireling.bargaining.opponent import estimate_of
from hireling.bargaining.outcomes import space_of
from hireling.bargaining.preferences import Outcome
from hireling.bargaining.session import (
    Accept,
    Counter,
    Decision,
    End,
    Estimate,
    SessionView,
    last_move,
    record,
)


@dataclass(frozen=True)
class RoundAware:
    """Hold, learn, and settle at the end.

    ``hold`` is the exponent of the concession curve (1 is a straight line). The last offer asks for the other
    side's best offer so far and ``margin`` times what that gained of late. ``width`` is how far above the
    target an offer may lie, ``fewest`` how many outcomes are compared at least.
    """

    STRATEGY: ClassVar[str] = "round-aware"
    VERSION: ClassVar[int] = 1

    hold: float = 4.0
    margin: float = 0.5
    width: float = 0.1
    fewest: int = 8

    def step(self, view: SessionView) -> Decision:
        """Return the next move."""
        if view.turns_left == 0:
            return last_move(self, view)
        theirs = [view.utility.of(offer) for offer in view.theirs]
        target = self.target(view, theirs)
        believed = estimate_of(view)
        offer, rule = self._offer(view, target, believed)
        level = view.utility.of(offer)
        if theirs and theirs[-1] >= max(view.reservation, min(target, level)):
            rule = "as good as what we would ask for"
            return Accept(record(self, view, target, rule, outcome=view.theirs[-1], estimate=believed))
        if level < view.reservation:
            return End(record(self, view, target, "nothing is as good as no deal", estimate=believed))
        return Counter(offer, record(self, view, target, rule, outcome=offer, estimate=believed))

    def target(self, view: SessionView, theirs: Sequence[float]) -> float:
        """Return the utility asked for in this move; it never rises from one move to the next.

        ``theirs`` is what each of the other side's offers was worth to us.
        """
        made = len(view.ours)
        ahead = len(theirs) - made  # 1 where the other side moved first
        target = 1.0
        for turn in range(made + 1):
            elapsed = turn / (made + view.turns_left - 1) if view.turns_left > 1 or made else 1.0
            goal = self._goal(theirs[: turn + ahead], view.reservation)
            target = min(target, 1 - (1 - goal) * elapsed**self.hold)
        return max(target, view.reservation)

    def _goal(self, theirs: Sequence[float], reservation: float) -> float:
        """Return what the last offer will ask for, as far as these offers tell."""
        if len(theirs) < 2:
            return reservation
        best = max(theirs)
        lately = max(1, len(theirs) // 8)
        gained = best - max(theirs[:-lately])
        return min(1.0, max(reservation, best + self.margin * gained))

    def _offer(self, view: SessionView, target: float, believed: Estimate | None) -> tuple[Outcome, str]:
        space = space_of(view.utility)
        if believed is None:
            return space.best, "first offer: our best"
        favourite = max(view.theirs, key=view.utility.of)
        if view.utility.of(favourite) >= target:
            return favourite, "their best offer meets the target"
        among = space.band(target, width=self.width, fewest=self.fewest)
        made = set(view.ours)
        fresh = [outcome for outcome in among if outcome not in made] or among
        return space.best_for(believed.utility.of, fresh), "best for them at our target"
