"""Give way as much as the other side did: tit for tat in our own utility (Faratin, Sierra, Jennings 1998)."""

from dataclasses import dataclass
from typing import ClassVar

from hireling.bargaining.asking import ask
from hireling.bargaining.session import Decision, SessionView


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
        return ask(self, view, self.target(view), "gives way as they did")

    def target(self, view: SessionView) -> float:
        """Return the utility asked for in this move."""
        theirs = [max(0.0, view.utility.of(offer)) for offer in view.theirs]
        gained = max(theirs) - theirs[0] if theirs else 0.0
        return max(view.reservation, 1 - self.opening * len(view.ours) - gained)
