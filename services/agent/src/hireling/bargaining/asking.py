"""One move of a side that asks for a target: the least of its outcomes that meets it, or the other side's."""

from hireling.bargaining.outcomes import space_of
from hireling.bargaining.session import (
    Accept,
    Counter,
    Decision,
    End,
    Negotiator,
    SessionView,
    last_move,
    record,
)


def ask(negotiator: Negotiator, view: SessionView, target: float, rule: str) -> Decision:
    """Return the next move; ``rule`` is what a counter-offer is recorded under."""
    if view.turns_left == 0:
        return last_move(negotiator, view)
    space = space_of(view.utility)
    offer = space.outcomes[space.at_least(target)]
    if view.theirs and view.utility.of(view.theirs[-1]) >= target:
        return Accept(record(negotiator, view, target, "meets the target", outcome=view.theirs[-1]))
    if view.utility.of(offer) < view.reservation:
        return End(record(negotiator, view, target, "nothing is as good as no deal"))
    return Counter(offer, record(negotiator, view, target, rule, outcome=offer))
