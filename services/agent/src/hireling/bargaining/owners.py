"""The owner's move in a session, whoever makes it: the machine's own agent, or a delegate of the platform.

Pure: a session in, what to do about it out. Whoever calls keeps the record, signs and sends.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime

from hireling.auctions.steps import won_offer
from hireling.bargaining.session import Accept, Counter, Decision, SessionView
from hireling.bargaining.talks import Talks, reason_for
from hireling.bargaining.wishes import Preferences
from hireling.rental.listing import ListingDocument
from hireling.rental.offer import (
    FUNDING_SECONDS,
    Offer,
    PlatformTerms,
    QuoteRequest,
    SignedOffer,
    check_sequence,
    counter,
    first_offer,
)
from hireling.rental.slot import Slot, end_by, slot_of
from hireling.rental.table import Table

OWNER_ROUND = 0  # even rounds are the owner's
IsPromised = Callable[[Slot], bool]
"""Whether the machine is promised to somebody else in a slot."""
Prefer = Callable[[frozenset[int]], Preferences]
"""What the owner wants, with the starts (by their place on the agenda) at which the machine is promised."""


@dataclass(frozen=True, kw_only=True)
class Won:
    """What an auction fixed: the price, and the Unix second until which it is the winner's."""

    price: int
    until: int


@dataclass(frozen=True, kw_only=True)
class Position:
    """A session in which it is the owner's turn."""

    quote_id: str
    listing: ListingDocument
    request: QuoteRequest
    terms: PlatformTerms
    offers: Sequence[SignedOffer]
    won: Won | None = None


@dataclass(frozen=True, kw_only=True)
class Thought:
    """What a strategy saw and decided: what a record of the decision is made of."""

    view: SessionView
    decision: Decision


@dataclass(frozen=True, kw_only=True)
class MakeOffer:
    """Sign this offer and put it on the table."""

    offer: Offer
    reason: str
    thought: Thought | None = None


@dataclass(frozen=True, kw_only=True)
class SignLast:
    """Sign the agreement that the last offer makes."""

    last: SignedOffer
    reason: str
    thought: Thought | None = None


@dataclass(frozen=True, kw_only=True)
class LeaveIt:
    """Do nothing: the session runs out."""

    code: str
    reason: str
    thought: Thought | None = None


OwnersMove = MakeOffer | SignLast | LeaveIt
TAKEN = LeaveIt(code="slot_taken", reason="the machine is promised to somebody else for that time")


def owners_move(
    position: Position,
    *,
    prefer: Prefer,
    is_promised: IsPromised,
    turnaround: int,
    now: datetime,
    salt: bytes,
) -> OwnersMove:
    """Return the owner's next move: the listed price first, then what the default strategy makes of it.

    ``turnaround`` is what the machine needs between two rentals, in seconds; ``salt`` has 32 random bytes,
    for a first offer. Raises a RentalError for offers against the rules, ValueError where no value of an
    issue is within the owner's bounds.
    """
    diary = _Diary(position, is_promised, turnaround, now)
    if not position.offers:
        start = Table(listing=position.listing, request=position.request).start
        return TAKEN if diary.is_taken(start, position.request.seconds) else _opening(position, now, salt)
    last = position.offers[-1]
    if last.offer.round % 2 == OWNER_ROUND:
        # The renter has signed the agreement that the owner's own last offer makes.
        check_sequence(position.listing, position.request, [signed.offer for signed in position.offers])
        return diary.or_taken(
            SignLast(last=last, reason="the renter signed the offer as it stands"), last.offer
        )
    last.check(position.terms.domain)
    return _reply(position, last, prefer=prefer, diary=diary, now=now)


@dataclass(frozen=True)
class _Diary:
    """When the machine of a session is promised to others."""

    position: Position
    is_promised: IsPromised
    turnaround: int
    now: datetime

    def is_taken(self, start_at: int, seconds: int, fund_by: int | None = None) -> bool:
        until = int(self.now.timestamp()) + FUNDING_SECONDS if fund_by is None else fund_by
        grace = self.position.listing.grace
        ends = end_by(fund_by=until, start_at=start_at, seconds=seconds, grace=grace)
        return self.is_promised(
            slot_of(start_at=start_at, ends=ends, turnaround=self.turnaround, now=self.now)
        )

    def or_taken(self, move: SignLast, offer: Offer) -> OwnersMove:
        if not self.is_taken(offer.start_at, offer.seconds, offer.fund_by):
            return move
        return LeaveIt(code=TAKEN.code, reason=TAKEN.reason, thought=move.thought)

    def places_taken(self, table: Table, offer: Offer) -> frozenset[int]:
        """Return the starts on the agenda at which the machine is promised, by their place."""
        starts = enumerate(table.start + delay for delay in self.position.listing.agenda.start)
        seconds = self.position.request.seconds
        return frozenset(place for place, start in starts if self.is_taken(start, seconds, offer.fund_by))


def _opening(position: Position, now: datetime, salt: bytes) -> MakeOffer:
    asked = (position.listing, position.request, position.terms, now, salt, position.quote_id)
    if position.won is None:
        return MakeOffer(offer=first_offer(*asked), reason="the listed price")
    offer = won_offer(*asked, position.won.price, until=position.won.until)
    return MakeOffer(offer=offer, reason="the price that the auction found")


def _reply(
    position: Position, last: SignedOffer, *, prefer: Prefer, diary: _Diary, now: datetime
) -> OwnersMove:
    table = Table(listing=position.listing, request=position.request)
    talks = Talks(table=table, preferences=prefer(diary.places_taken(table, last.offer)))
    view = talks.view([signed.offer for signed in position.offers])
    decision = talks.negotiator.step(view)
    thought, reason = Thought(view=view, decision=decision), reason_for(decision, view.issues)
    if isinstance(decision, Accept):
        return diary.or_taken(SignLast(last=last, reason=reason, thought=thought), last.offer)
    if isinstance(decision, Counter):
        answer = counter(last.offer, terms=talks.terms(decision.offer), now=now)
        return MakeOffer(offer=answer, reason=reason, thought=thought)
    return LeaveIt(code="no_deal", reason=reason, thought=thought)
