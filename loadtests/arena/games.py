"""One game of the arena, and what many of them come to."""

import random
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import fmean

import numpy as np
from negmas.outcomes import make_issue, make_os
from negmas.preferences import LinearAdditiveUtilityFunction
from negmas.preferences.value_fun import TableFun
from negmas.sao import SAOMechanism, SAONegotiator

from hireling.bargaining.preferences import AdditiveUtility
from hireling.bargaining.session import Negotiator
from loadtests.arena.scenarios import Scenario
from loadtests.arena.seat import Seat, indices, values

Player = Negotiator | type[SAONegotiator]


@dataclass(frozen=True)
class Result:
    """How a game ended for the player: advantages of 0 without a deal, seconds of each of our steps."""

    opponent: str
    role: int
    advantage: float = 0.0
    partner: float = 0.0
    agreed: int = 0
    seconds: tuple[float, ...] = ()


def play(
    player: Player, opponent: type[SAONegotiator], scenario: Scenario, *, role: int, steps: int
) -> Result:
    """Return how the player fares in ``role`` (0 moves first) within ``steps`` moves of each side."""
    # Some of the panel draws by chance, from either of these.
    random.seed(scenario.seed)
    np.random.seed(scenario.seed)
    issues = [
        make_issue([str(at) for at in range(len(table))], name=f"issue {number}")
        for number, table in enumerate(scenario.utilities[0].worths)
    ]
    space = make_os(issues)
    table = SAOMechanism(outcome_space=space, n_steps=steps, time_limit=None)
    seconds: list[float] = []
    for side in (0, 1):
        utility, reservation = scenario.utilities[side], scenario.reservations[side]
        theirs = _ufun(utility, reservation, space)
        if side != role:
            table.add(opponent(), ufun=theirs)
        elif isinstance(player, type):
            table.add(player(), ufun=theirs)
        else:
            seat = Seat(player, utility, reservation)
            seconds = seat.seconds
            table.add(seat, ufun=theirs)
    agreement = table.run().agreement
    if agreement is None:
        return Result(opponent.__name__, role, seconds=tuple(seconds))
    outcome = indices(agreement)
    return Result(
        opponent.__name__,
        role,
        advantage=scenario.advantage(role, outcome),
        partner=scenario.advantage(1 - role, outcome),
        agreed=1,
        seconds=tuple(seconds),
    )


@dataclass(frozen=True)
class Score:
    """Means over games: advantage, share of agreements, sum of both sides' advantages."""

    games: int
    advantage: float
    agreement: float
    total: float
    below_reservation: int


def score(results: Sequence[Result]) -> Score:
    """Return the means of the results."""
    return Score(
        games=len(results),
        advantage=fmean(result.advantage for result in results),
        agreement=fmean(result.agreed for result in results),
        total=fmean(result.advantage + result.partner for result in results),
        # A hair below zero is the rounding of floats, not a deal below the reservation value.
        below_reservation=sum(result.advantage < -1e-9 for result in results),
    )


def _ufun(utility: AdditiveUtility, reservation: float, space: object) -> LinearAdditiveUtilityFunction:
    tables = [
        TableFun(dict(zip(values(tuple(range(len(worths)))), worths, strict=True)))
        for worths in utility.worths
    ]
    return LinearAdditiveUtilityFunction(
        values=tables, weights=list(utility.weights), outcome_space=space, reserved_value=reservation
    )
