"""A seat at NegMAS's table for a negotiator of ours."""

from time import perf_counter

from negmas.sao import ResponseType, SAONegotiator, SAOResponse, SAOState

from hireling.bargaining.preferences import AdditiveUtility, Issue, Outcome
from hireling.bargaining.session import Accept, End, Negotiator, SessionView


class Seat(SAONegotiator):
    """Shows a negotiator of ours each state of the session, and carries out what it decides."""

    def __init__(self, negotiator: Negotiator, utility: AdditiveUtility, reservation: float) -> None:
        """Seat ``negotiator``, who wants ``utility`` and has ``reservation`` without a deal."""
        super().__init__()
        self.seconds: list[float] = []
        self._negotiator = negotiator
        self._utility = utility
        self._reservation = reservation
        self._offers: list[Outcome] = []

    def __call__(self, state: SAOState, dest: str | None = None) -> SAOResponse:
        """Return the negotiator's move."""
        del dest
        if state.current_offer is not None:
            self._offers.append(indices(state.current_offer))
        # One step of NegMAS is a move of each side.
        view = SessionView(
            issues=tuple(Issue(issue.name, tuple(issue.values)) for issue in self.nmi.outcome_space.issues),
            utility=self._utility,
            reservation=self._reservation,
            deadline=2 * self.nmi.n_steps,
            offers=tuple(self._offers),
        )
        before = perf_counter()
        decision = self._negotiator.step(view)
        self.seconds.append(perf_counter() - before)
        if isinstance(decision, Accept):
            return SAOResponse(ResponseType.ACCEPT_OFFER, state.current_offer)
        if isinstance(decision, End):
            return SAOResponse(ResponseType.END_NEGOTIATION, None)
        self._offers.append(decision.offer)
        return SAOResponse(ResponseType.REJECT_OFFER, values(decision.offer))

    def propose(self, state: SAOState, dest: str | None = None) -> None:
        """Refuse: NegMAS asks for this only where a seat does not offer in the same call as it answers."""
        raise RuntimeError("this seat offers in the call in which it answers")


def values(outcome: Outcome) -> tuple[str, ...]:
    """Return an outcome as NegMAS has it: its values are the indices, as words, so that none is a number."""
    return tuple(map(str, outcome))


def indices(outcome: tuple[str, ...]) -> Outcome:
    """Return one of NegMAS's outcomes as ours."""
    return tuple(map(int, outcome))
