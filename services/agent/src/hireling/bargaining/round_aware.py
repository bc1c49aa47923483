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

# Below this many offers without a better one, it may be chance.
FEWEST_STANDING = 4


@dataclass(frozen=True)
class RoundAware:
    """Hold, learn, and settle at the end.

    ``hold`` is the exponent of the concession curve (1 is a straight line), which ends at the other side's
    best offer so far. ``width`` is how far above the target an offer may lie, ``fewest`` how many outcomes
    are compared at least. A side that has not bettered its best offer for a ``standing``-th of the turns
    stands still: it gets its own best offer back a turn early, and where it refuses that, in the last turn
    only ``generosity`` of what that gives us above no deal is asked for.
    """

    STRATEGY: ClassVar[str] = "round-aware"
    VERSION: ClassVar[int] = 1

    hold: float = 4.0
    width: float = 0.1
    fewest: int = 8
    standing: int = 10
    generosity: float = 0.5

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
        last_turn = made + view.turns_left - 1
        target, best, best_at = 1.0, 0.0, 0
        for turn in range(made + 1):
            seen = turn + ahead
            if seen and theirs[seen - 1] > best:
                best, best_at = theirs[seen - 1], seen
            goal = max(view.reservation, best)
            # Who gives way makes us its best offer late; with anybody else there is nothing to wait for.
            stands = seen - best_at >= max(FEWEST_STANDING, last_turn // self.standing)
            settling = last_turn - 1 if stands else last_turn
            if turn > settling:
                goal = view.reservation + (goal - view.reservation) * self.generosity
            elapsed = min(1.0, turn / settling) if settling > 0 else 1.0
            target = min(target, goal + (1 - goal) * (1 - elapsed**self.hold))
        return target

    def _offer(self, view: SessionView, target: float, believed: Estimate | None) -> tuple[Outcome, str]:
        space = space_of(view.utility)
        if believed is None:
            return space.best, "first offer: our best"
        favourite = max(view.theirs, key=view.utility.of)
        made = set(view.ours)
        if view.utility.of(favourite) >= target and favourite not in made:
            return favourite, "their best offer meets the target"
        among = space.band(target, width=self.width, fewest=self.fewest)
        fresh = [outcome for outcome in among if outcome not in made] or among
        return space.best_for(believed.utility.of, fresh), "best for them at our target"
