"""What a negotiator is shown and what it answers.

Offers alternate. A session has ``deadline`` moves in all, numbered from 0; nobody answers an offer made in
the last of them, so the last move can only accept or end.
"""

from dataclasses import dataclass
from functools import cached_property, lru_cache
from hashlib import sha256
from typing import ClassVar, Protocol

from hireling.bargaining.preferences import (
    MOST_OUTCOMES,
    AdditiveUtility,
    Issue,
    Outcome,
    count_outcomes,
)


@dataclass(frozen=True)
class SessionView:
    """One side's view of a session when it is its turn: everything its decision depends on.

    ``reservation`` is the utility of no deal, ``offers`` all offers so far, oldest first; the last one, and
    every second one before it, is the other side's.
    """

    issues: tuple[Issue, ...]
    utility: AdditiveUtility
    reservation: float
    deadline: int
    offers: tuple[Outcome, ...] = ()

    def __post_init__(self) -> None:
        """Raise ValueError for a view that contradicts itself."""
        sizes = tuple(len(issue.values) for issue in self.issues)
        if tuple(map(len, self.utility.worths)) != sizes:
            raise ValueError("the utility is over other issues")
        if count_outcomes(self.issues) > MOST_OUTCOMES:
            raise ValueError(f"{count_outcomes(self.issues)} outcomes are more than {MOST_OUTCOMES}")
        if not 0 <= self.reservation <= 1:
            raise ValueError(f"the reservation value {self.reservation} is not in [0, 1]")
        if self.round >= self.deadline:
            raise ValueError(f"round {self.round} is past the deadline of {self.deadline}")
        for offer in self.offers:
            if len(offer) != len(sizes) or any(
                not 0 <= at < size for at, size in zip(offer, sizes, strict=True)
            ):
                raise ValueError(f"{offer} is no outcome of these issues")

    @property
    def round(self) -> int:
        """Return the number of this move, from 0."""
        return len(self.offers)

    @property
    def theirs(self) -> tuple[Outcome, ...]:
        """Return the other side's offers, oldest first."""
        return self.offers[(self.round + 1) % 2 :: 2]

    @property
    def ours(self) -> tuple[Outcome, ...]:
        """Return our offers, oldest first."""
        return self.offers[self.round % 2 :: 2]

    @property
    def turns_left(self) -> int:
        """Return how many offers we can still make that the other side can answer, this one included."""
        return (self.deadline - self.round) // 2

    @property
    def elapsed(self) -> float:
        """Return the share of our answerable offers that are made, in [0, 1]."""
        made = len(self.ours)
        return 1.0 if self.turns_left <= 1 else made / (made + self.turns_left - 1)

    @cached_property
    def fingerprint(self) -> str:
        """Return the hash of all of the view: equal views make equal decisions."""
        numbers = (self.reservation, self.deadline, self.offers)
        return sha256(f"{_fingerprint(self.issues, self.utility)}{numbers!r}".encode()).hexdigest()


@lru_cache(maxsize=64)
def _fingerprint(issues: tuple[Issue, ...], utility: AdditiveUtility) -> str:
    return sha256(repr((issues, utility)).encode()).hexdigest()


@dataclass(frozen=True)
class Estimate:
    """What we believe the other side wants, and how much of its best it asked for at first and last."""

    utility: AdditiveUtility
    first_demand: float
    last_demand: float


@dataclass(frozen=True)
class Record:
    """Why a decision was made: enough to repeat it and to explain it.

    ``inputs`` is the view's fingerprint, ``target`` the utility aimed at, ``parts`` what each issue adds to
    the utility of the outcome decided on (empty for an end), ``rule`` the rule that fired.
    """

    inputs: str
    strategy: str
    version: int
    target: float
    rule: str
    outcome: Outcome | None = None
    parts: tuple[float, ...] = ()
    estimate: Estimate | None = None

    @property
    def utility(self) -> float | None:
        """Return our utility of the outcome decided on."""
        return sum(self.parts) if self.parts else None


@dataclass(frozen=True)
class Accept:
    """Take the other side's last offer."""

    record: Record


@dataclass(frozen=True)
class Counter:
    """Offer this outcome."""

    offer: Outcome
    record: Record


@dataclass(frozen=True)
class End:
    """Leave without a deal."""

    record: Record


Decision = Accept | Counter | End


class Negotiator(Protocol):
    """Decides one side's moves. The same view always gets the same decision."""

    STRATEGY: ClassVar[str]
    VERSION: ClassVar[int]

    def step(self, view: SessionView) -> Decision:
        """Return the next move."""
        ...


def record(
    negotiator: Negotiator,
    view: SessionView,
    target: float,
    rule: str,
    *,
    outcome: Outcome | None = None,
    estimate: Estimate | None = None,
) -> Record:
    """Return the record of a decision on ``outcome``, or on leaving where there is none."""
    return Record(
        inputs=view.fingerprint,
        strategy=negotiator.STRATEGY,
        version=negotiator.VERSION,
        target=target,
        rule=rule,
        outcome=outcome,
        parts=() if outcome is None else view.utility.parts(outcome),
        estimate=estimate,
    )


def last_move(negotiator: Negotiator, view: SessionView) -> Decision:
    """Return the decision in the last move, when nobody answers an offer any more."""
    on_table = view.theirs[-1] if view.theirs else None
    if on_table is not None and view.utility.of(on_table) >= view.reservation:
        rule = "last move: no worse than no deal"
        return Accept(record(negotiator, view, view.reservation, rule, outcome=on_table))
    return End(record(negotiator, view, view.reservation, "last move: worse than no deal"))
