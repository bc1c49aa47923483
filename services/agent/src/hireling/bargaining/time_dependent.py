"""Concession by the round alone (Faratin, Sierra and Jennings 1998): from Boulware to Conceder."""

from dataclasses import dataclass
from typing import ClassVar

from hireling.bargaining.outcomes import space_of
from hireling.bargaining.session import (
    Accept,
    Counter,
    Decision,
    End,
    SessionView,
    last_move,
    record,
)


@dataclass(frozen=True)
class TimeDependent:
    """Ask for the best at first and for the reservation value in the last offer.

    ``exponent`` bends the way between: 4 is Boulware, which holds, 1 Linear, 0.25 Conceder.
    """

    STRATEGY: ClassVar[str] = "time-dependent"
    VERSION: ClassVar[int] = 1

    exponent: float = 4.0

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
        return Counter(offer, record(self, view, target, "least that meets the target", outcome=offer))

    def target(self, view: SessionView) -> float:
        """Return the utility asked for in this move."""
        return 1 - (1 - view.reservation) * float(view.elapsed**self.exponent)


BOULWARE = TimeDependent(exponent=4.0)
LINEAR = TimeDependent(exponent=1.0)
CONCEDER = TimeDependent(exponent=0.25)
