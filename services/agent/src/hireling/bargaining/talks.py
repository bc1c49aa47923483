"""One side of one session: its documents in, the next move and the words for it out."""

from collections.abc import Sequence
from dataclasses import dataclass, field

from hireling.bargaining.preferences import Issue, Outcome
from hireling.bargaining.round_aware import RoundAware
from hireling.bargaining.session import Accept, Counter, Decision, Negotiator, SessionView
from hireling.bargaining.wishes import Preferences
from hireling.rental.offer import Offer, check_sequence
from hireling.rental.table import Table, Terms

# Round 0 and the rounds after it are offers; one more move can take the last of them.
MOVES_BESIDE_ROUNDS = 2


@dataclass(frozen=True, kw_only=True)
class Talks:
    """What a side needs to answer: the table, what it wants, and its strategy."""

    table: Table
    preferences: Preferences
    negotiator: Negotiator = field(default_factory=RoundAware)

    def view(self, offers: Sequence[Offer]) -> SessionView:
        """Return the session as a negotiator sees it. Raises OfferRefused for offers against the rules."""
        listing = self.table.listing
        return SessionView(
            issues=self.preferences.issues,
            utility=self.preferences.utility,
            reservation=self.preferences.reservation,
            deadline=listing.agenda.rounds + MOVES_BESIDE_ROUNDS,
            offers=check_sequence(listing, self.table.request, offers),
        )

    def decide(self, offers: Sequence[Offer]) -> Decision:
        """Return the next move. Raises OfferRefused for offers against the rules."""
        return self.negotiator.step(self.view(offers))

    def terms(self, outcome: Outcome) -> Terms:
        """Return an outcome as an offer says it."""
        return self.table.terms(outcome)


def describe(outcome: Outcome, issues: Sequence[Issue]) -> str:
    """Return an outcome in words, without the issues that nobody can bargain about."""
    pairs = zip(issues, outcome, strict=True)
    said = [_said(issue.name, issue.values[place]) for issue, place in pairs if len(issue.values) > 1]
    return ", ".join(said) or "as listed"


def _said(name: str, value: object) -> str:
    return f"{name} +{value} s" if name == "start" else f"{name} {value} %"


def reason_for(decision: Decision, issues: Sequence[Issue]) -> str:
    """Return why a move was made, in a line."""
    record = decision.record
    if isinstance(decision, Counter):
        worth = f"worth {record.utility or 0:.2f} to us, aimed at {record.target:.2f}"
        return f"{describe(decision.offer, issues)} ({worth}): {record.rule}"
    if isinstance(decision, Accept) and record.outcome is not None:
        return f"{describe(record.outcome, issues)} is worth {record.utility or 0:.2f} to us: {record.rule}"
    return record.rule
