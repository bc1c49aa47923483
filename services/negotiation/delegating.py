"""What a delegate does in one of its owner's turns, and what is kept of it. Pure rules."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Literal

from hireling.bargaining.delegating import delegates_preferences
from hireling.bargaining.owners import (
    IsPromised,
    LeaveIt,
    MakeOffer,
    OwnersMove,
    Position,
    SignLast,
    Thought,
    Won,
    owners_move,
)
from hireling.decision_log import Signed, decided_of, wanted_of
from hireling.rental.appointment import DelegateBounds, DelegateOrder, SignedInquiry
from hireling.rental.errors import AppointmentRefused, RentalError
from hireling.rental.offer import agreement_from, terms_of
from hireling.rental.signing import Signer, sign
from hireling.rental.table import Table
from hireling.rental.terms import rental_id
from hireling.rental.typed_data import Domain, to_hex
from services.messages.errors import Forbidden, Refused
from services.messages.negotiation import AgreementSignature
from services.negotiation.session import QuoteSession

# Two machines' clocks, and a slow line: for so long an inquiry is worth its answer.
INQUIRY_HOLDS = timedelta(seconds=60)


@dataclass(frozen=True, kw_only=True)
class Record:
    """What is kept of a turn: what was done and why, and what it takes to repeat the decision."""

    move: Literal["offer", "sign", "leave"]
    code: str | None
    reason: str
    wanted: dict[str, Any] | None = None
    decided: dict[str, Any] | None = None
    signed: dict[str, Any] | None = None


def check_order(order: DelegateOrder, *, domain: Domain, now: datetime) -> None:
    """Raise Refused unless an owner signed this appointment for this platform, and it can be kept."""
    try:
        order.check(domain, now)
    except RentalError as error:
        raise Refused(error.code, f"the appointment: {error}") from error
    if order.mandate.limits.approval_above is not None:
        raise Refused("approval_threshold", "a delegate asks nobody: bound it, and set no approval threshold")


def check_inquiry(signed: SignedInquiry, quote: QuoteSession, *, now: datetime) -> None:
    """Raise Forbidden unless the owner of the session's machine asks, about it, at about this time."""
    inquiry = signed.inquiry
    if inquiry.subject.hex() != quote.quote_id or signed.owner != quote.listing.owner:
        raise Forbidden("not_the_owner", f"only the owner of its machine reads why of {quote.quote_id}")
    if abs(inquiry.at - now.timestamp()) > INQUIRY_HOLDS.total_seconds():
        raise Forbidden("inquiry_old", f"it was signed at {inquiry.at}, now it is {int(now.timestamp())}")
    try:
        signed.check(quote.terms.domain)
    except RentalError as error:
        raise Forbidden("not_the_owner", f"its owner did not sign this inquiry: {error}") from error


def speaks_for(order: DelegateOrder, quote: QuoteSession) -> bool:
    """Return whether a session's listing names the delegate as its owner's agent."""
    return quote.listing.owner_agent == order.signed.appointment.delegate


def decide(
    order: DelegateOrder,
    quote: QuoteSession,
    *,
    is_promised: IsPromised,
    won_until: int | None,
    now: datetime,
    salt: bytes,
) -> OwnersMove:
    """Return the delegate's move: the owner's own agent's, or none where it would be outside the bounds."""
    table = Table(listing=quote.listing, request=quote.request)
    try:
        order.signed.check_entitles(quote.listing, domain=quote.terms.domain, now=now, mandate=quote.mandate)
        move = owners_move(
            _position(quote, won_until),
            prefer=lambda taken: delegates_preferences(order.bounds, table, taken),
            is_promised=is_promised,
            turnaround=quote.listing.turnaround,
            now=now,
            salt=salt,
        )
    except RentalError as error:
        return LeaveIt(code=error.code, reason=str(error))
    except ValueError as error:
        return LeaveIt(code="out_of_bounds", reason=str(error))
    return _bounded(move, order.bounds)


def _bounded(move: OwnersMove, bounds: DelegateBounds) -> OwnersMove:
    """Return the move, or none: whatever the strategy thinks, nothing is signed that the owner forbade."""
    if isinstance(move, LeaveIt):
        return move
    try:
        bounds.check(move.offer if isinstance(move, MakeOffer) else move.last.offer)
    except AppointmentRefused as error:
        return LeaveIt(code=error.code, reason=str(error), thought=move.thought)
    return move


def _position(quote: QuoteSession, won_until: int | None) -> Position:
    won = None
    if quote.won is not None and won_until is not None:
        won = Won(price=quote.won.amount, until=won_until)
    return Position(
        quote_id=quote.quote_id,
        listing=quote.listing,
        request=quote.request,
        terms=quote.terms,
        offers=quote.offers,
        won=won,
    )


def owners_signature(key: Signer, quote: QuoteSession, move: SignLast) -> AgreementSignature:
    """Return the delegate's signature over the agreement that the last offer makes."""
    agreement = agreement_from(move.last.offer)
    return AgreementSignature(
        quote_id=quote.quote_id,
        by="owner",
        offer=move.last.hash,
        signature=sign(key, quote.terms.domain, agreement),
    )


def record_of(quote: QuoteSession, move: OwnersMove, *, now: datetime) -> Record:
    """Return what to keep of a turn."""
    signed = None
    if isinstance(move, SignLast):
        offer = move.last.offer
        outcome = Table(listing=quote.listing, request=quote.request).outcome(terms_of(offer))
        rental = to_hex(rental_id(quote.terms.domain, agreement_from(offer)))
        signed = Signed(signed=rental, outcome=outcome, at=now).model_dump(mode="json")
    wanted, decided = _kept(move.thought, quote.quote_id, now)
    return Record(
        move="offer" if isinstance(move, MakeOffer) else "sign" if isinstance(move, SignLast) else "leave",
        code=move.code if isinstance(move, LeaveIt) else None,
        reason=move.reason,
        wanted=wanted,
        decided=decided,
        signed=signed,
    )


def _kept(
    thought: Thought | None, quote_id: str, now: datetime
) -> tuple[dict[str, Any] | None, dict[str, Any] | None]:
    if thought is None:
        return None, None
    wanted = wanted_of(quote_id, "owner", thought.view, now)
    decided = decided_of(thought.view, thought.decision, now)
    return wanted.model_dump(mode="json"), decided.model_dump(mode="json")
