"""Random sessions, and a table at which two negotiators of ours meet."""

from dataclasses import dataclass

from hypothesis import strategies as st

from hireling.bargaining.preferences import AdditiveUtility, Issue, Outcome, additive
from hireling.bargaining.round_aware import RoundAware
from hireling.bargaining.session import Accept, Decision, End, Negotiator, SessionView
from hireling.bargaining.time_dependent import BOULWARE, CONCEDER, LINEAR
from hireling.bargaining.tit_for_tat import TitForTat

STRATEGIES: tuple[Negotiator, ...] = (RoundAware(), BOULWARE, LINEAR, CONCEDER, TitForTat())

worths = st.floats(0, 1, allow_nan=False)


def issues_of(sizes: list[int]) -> tuple[Issue, ...]:
    """Return issues with this many values each."""
    return tuple(Issue(f"issue {number}", tuple(range(size))) for number, size in enumerate(sizes))


@st.composite
def utilities(draw: st.DrawFn, sizes: list[int]) -> AdditiveUtility:
    """Draw a utility over issues of these sizes, of which the first matters."""
    weights = [1.0, *draw(st.lists(worths, min_size=len(sizes) - 1, max_size=len(sizes) - 1))]
    tables = [draw(st.lists(worths, min_size=size, max_size=size)) for size in sizes]
    tables[0][0], tables[0][-1] = 0.0, 1.0
    return additive(weights, tables)


@st.composite
def views(draw: st.DrawFn) -> SessionView:
    """Draw any moment of any small session."""
    sizes = draw(st.lists(st.integers(2, 4), min_size=1, max_size=4))
    deadline = draw(st.integers(1, 24))
    outcome = st.tuples(*(st.integers(0, size - 1) for size in sizes))
    return SessionView(
        issues=issues_of(sizes),
        utility=draw(utilities(sizes)),
        reservation=draw(worths),
        deadline=deadline,
        offers=tuple(draw(st.lists(outcome, max_size=deadline - 1))),
    )


@dataclass(frozen=True)
class Party:
    """A negotiator, what it wants, and what no deal is worth to it."""

    negotiator: Negotiator
    utility: AdditiveUtility
    reservation: float


@st.composite
def pairs(draw: st.DrawFn) -> tuple[Party, Party]:
    """Draw two parties over the same issues."""
    sizes = draw(st.lists(st.integers(2, 4), min_size=2, max_size=4))
    first, second = (
        Party(draw(st.sampled_from(STRATEGIES)), draw(utilities(sizes)), draw(worths)) for _ in range(2)
    )
    return first, second


@dataclass(frozen=True)
class Ending:
    """How a session went: the deal if there was one, each party's decisions, and the moves it took."""

    deal: Outcome | None
    decisions: tuple[tuple[Decision, ...], tuple[Decision, ...]]
    moves: int


def meet(parties: tuple[Party, Party], *, deadline: int) -> Ending:
    """Have two parties bargain, the first one opening."""
    offers: list[Outcome] = []
    decisions: tuple[list[Decision], list[Decision]] = ([], [])
    deal: Outcome | None = None
    for move in range(deadline):
        side = move % 2
        party = parties[side]
        view = SessionView(
            issues=issues_of([len(table) for table in party.utility.worths]),
            utility=party.utility,
            reservation=party.reservation,
            deadline=deadline,
            offers=tuple(offers),
        )
        decision = party.negotiator.step(view)
        decisions[side].append(decision)
        if isinstance(decision, Accept | End):
            deal = offers[-1] if isinstance(decision, Accept) else None
            break
        offers.append(decision.offer)
    return Ending(deal=deal, decisions=(tuple(decisions[0]), tuple(decisions[1])), moves=len(offers))
