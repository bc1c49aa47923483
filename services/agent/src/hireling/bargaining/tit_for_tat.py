"""Give way as much as the other side did: tit for tat in our own utility (Faratin, Sierra, Jennings 1998)."""

from dataclasses import dataclass
from typing import ClassVar

from hireling.bargaining.outcomes import space_of
from hireling.bargaining.session import Accept, Counter, Decision, End, SessionView, last_move, record


@dataclass(frozen=True)
class TitForTat:
    """Lower the target by what the other side's best offer gained since its first, but never rise again.

    ``opening`` is given way without being asked, in utility, so that two of a kind do not stand still.
    """

    STRATEGY: ClassVar[str] = "tit-for-tat"
    VERSION: ClassVar[int] = 1

    opening: float = 0.02

    def step(self, view: SessionView) -> Decision:
        """Return the next move."""
        if view.turns_left == 0:
            return last_move(self, view)
        target = self.target(view)
        space = space_of(view.utility)
        offer = space.outcomes[space.at_least(target)]
        if view.theirs and view.utility.of(view.theirs[-1]) >= target:
            return Accept(record(self, view, target, "meets the target", outcome=view.theirs[-1]))
        if view.utility.of(offer) < view.reservation:
            return End(record(self, view, target, "nothing is as good as no deal"))
        return Counter(offer, record(self, view, target, "gives way as they did", outcome=offer))

    def target(self, view: SessionView) -> float:
        """Return the utility asked for in this move."""
        theirs = [view.utility.of(offer) for offer in view.theirs]
        gained = max(theirs) - theirs[0] if theirs else 0.0
        return max(view.reservation, 1 - self.opening * len(view.ours) - gained)
