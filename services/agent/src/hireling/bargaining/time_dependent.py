"""Concession by the round alone (Faratin, Sierra and Jennings 1998): from Boulware to Conceder."""

from dataclasses import dataclass
from typing import ClassVar

from hireling.bargaining.asking import ask
from hireling.bargaining.session import Decision, SessionView


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
        return ask(self, view, self.target(view), "least that meets the target")

    def target(self, view: SessionView) -> float:
        """Return the utility asked for in this move."""
        target = 1 - (1 - view.reservation) * float(view.elapsed**self.exponent)
        # Rounding may leave it below a tiny reservation value.
        return max(view.reservation, target)


BOULWARE = TimeDependent(exponent=4.0)
LINEAR = TimeDependent(exponent=1.0)
CONCEDER = TimeDependent(exponent=0.25)
