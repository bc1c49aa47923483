"""The negotiation service's only queries."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from typing import Any

from pydantic import BaseModel
from sqlalchemy import Row, Select, Table, bindparam, func, update
from sqlalchemy import select as sql_select
from sqlmodel import Session, col, select

from hireling.rental.agreement import SignedAgreement
from hireling.rental.appointment import SignedAppointment
from hireling.rental.listing import ListingDocument, SignedListing
from hireling.rental.mandate import SignedMandate
from hireling.rental.offer import PlatformTerms, QuoteRequest, SignedOffer
from hireling.rental.session_document import MadeOffer, SessionDocument
from hireling.rental.typed_data import from_hex, to_hex
from services.chassis.rows import WrittenJson, insert_rows, update_rows
from services.messages.errors import Conflict
from services.messages.negotiation import QuoteMark, QuoteStatus, Side, WonPrice
from services.negotiation.models import (
    AgreementRow,
    MandateReservation,
    OfferRow,
    Quote,
    RevocationRow,
    TakenBackRow,
)
from services.negotiation.remembered import Remembered
from services.negotiation.session import QuoteSession, status_at

QUOTE: Table = Quote.metadata.tables["quote"]
OFFER: Table = OfferRow.metadata.tables["offer"]
AGREEMENT: Table = AgreementRow.metadata.tables["agreement"]
_RESERVATION: Table = MandateReservation.metadata.tables["mandate_reservation"]
# All of a session that changes, and how many offers were made.
_CHANGES = ("status", "answer_by", "owner_signature", "renter_signature")
_STATE = [QUOTE.c[name] for name in ("quote_id", *_CHANGES)]
MADE = sql_select(func.count()).where(OFFER.c.quote_id == QUOTE.c.quote_id).scalar_subquery().label("made")


def load_all(session: Session, quote_ids: Collection[str], remembered: Remembered) -> dict[str, QuoteSession]:
    """Return those of these quote sessions that exist."""
    return _sessions_of(session, quote_ids, remembered)


def load_all_locked(
    session: Session, quote_ids: Collection[str], remembered: Remembered
) -> dict[str, QuoteSession]:
    """Return those of these that exist, kept from other writers until this unit of work ends.

    Before anything is written in it: what is read is remembered as committed.
    """
    # In one order, so that two calls never wait for each other; and read once they are ours, for what another
    # one committed meanwhile is not in what was read with the lock.
    locked = sql_select(QUOTE.c.quote_id).where(QUOTE.c.quote_id.in_(quote_ids))
    ours = session.connection().execute(locked.order_by(QUOTE.c.quote_id).with_for_update()).scalars().all()
    # No others: one that was opened meanwhile is not locked.
    return _sessions_of(session, ours, remembered)


_NAMED = QUOTE.c.quote_id.in_(bindparam("quote_ids", expanding=True))
# Made once: the gateway asks all the time while anybody waits.
_MARKS = sql_select(*_STATE, MADE).where(_NAMED)
# So are these: each move asks them.
_STATES: Select[Any] = sql_select(*_STATE, QUOTE.c.appointment.is_not(None).label("spoken_for"), MADE).where(
    _NAMED
)
_OFFERS_SINCE = (
    sql_select(OFFER.c.quote_id, OFFER.c.round, OFFER.c.signed)
    .where(OFFER.c.quote_id.in_(bindparam("quote_ids", expanding=True)), OFFER.c.round > bindparam("round"))
    .order_by(OFFER.c.quote_id, OFFER.c.round)
)


def marks_of(session: Session, quote_ids: Collection[str], *, now: datetime) -> dict[str, QuoteMark]:
    """Return how far those of these sessions are that exist."""
    rows = session.connection().execute(_MARKS, {"quote_ids": list(quote_ids)})
    return {
        row.quote_id: QuoteMark(
            status=status_at(now, QuoteStatus(row.status), answer_by=row.answer_by),
            offers=row.made,
            signatures=sum(1 for signature in (row.owner_signature, row.renter_signature) if signature),
        )
        for row in rows
    }


# Made once: every machine asks at every look, mostly for nothing.
_OPEN_OF = (
    sql_select(QUOTE.c.quote_id)
    .where(QUOTE.c.device == bindparam("device"), QUOTE.c.status == QuoteStatus.OPEN.value)
    .order_by(QUOTE.c.asked_at, QUOTE.c.quote_id)
)


def open_sessions_of(session: Session, device: str, remembered: Remembered) -> list[QuoteSession]:
    """Return a device's sessions that are not over, oldest first."""
    names = session.connection().execute(_OPEN_OF, {"device": device}).scalars().all()
    found = load_all(session, names, remembered) if names else {}
    return [found[name] for name in names]


# Made once: both sides ask before every move.
_REVOCATIONS_OF = (
    sql_select(RevocationRow)
    .where(col(RevocationRow.principal) == bindparam("principal"))
    .order_by(col(RevocationRow.subject))
)


def revocations_of(session: Session, principal: str) -> Sequence[RevocationRow]:
    """Return a principal's latest words, one a subject."""
    return session.execute(_REVOCATIONS_OF, {"principal": principal}).scalars().all()


def known_among(session: Session, quote_ids: Collection[str]) -> frozenset[str]:
    """Return which of these sessions exist."""
    return frozenset(session.exec(select(Quote.quote_id).where(col(Quote.quote_id).in_(quote_ids))))


def open_quotes_of(
    session: Session, asking: Collection[QuoteSession]
) -> dict[tuple[str, str], tuple[str, datetime]]:
    """Return by device and renter which sessions those who ask have open, and until when."""
    if not asking:
        return {}
    statement = select(Quote.device, Quote.renter, Quote.quote_id, Quote.answer_by).where(
        col(Quote.device).in_({quote.device for quote in asking}),
        col(Quote.renter).in_({quote.renter for quote in asking}),
        Quote.status == QuoteStatus.OPEN.value,
    )
    return {
        (device, renter): (name, answer_by) for device, renter, name, answer_by in session.exec(statement)
    }


def add_quotes(session: Session, quotes: Sequence[QuoteSession], *, asked_at: datetime) -> None:
    """Keep new sessions."""
    rows = [
        {
            "quote_id": quote.quote_id,
            "device": quote.device,
            "renter": quote.renter,
            "listing": to_hex(quote.request.listing),
            "request": _json(quote.request),
            "document": _json(quote.listing),
            "mandate": _json(quote.mandate),
            "terms": _json(quote.terms),
            "status": quote.status.value,
            "asked_at": asked_at,
            "answer_by": quote.answer_by,
            "listing_signature": to_hex(quote.listing_signature),
            "request_signature": to_hex(quote.request_signature),
            "won_auction": to_hex(quote.won.auction) if quote.won else None,
            "won_amount": str(quote.won.amount) if quote.won else None,
        }
        for quote in quotes
    ]
    insert_rows(session, QUOTE, rows)


def save_all(session: Session, quotes: Sequence[QuoteSession]) -> None:
    """Keep what steps changed in sessions: status, deadline and signatures."""
    rows = [
        {
            "quote_id": quote.quote_id,
            "status": quote.status.value,
            "answer_by": quote.answer_by,
            "owner_signature": _signature(quote, "owner"),
            "renter_signature": _signature(quote, "renter"),
        }
        for quote in quotes
    ]
    update_rows(session, QUOTE, rows)


def add_offers(session: Session, offers: Sequence[SignedOffer], *, made_at: datetime) -> None:
    """Keep offers that were made."""
    rows = [
        {
            "quote_id": made.offer.quote_id,
            "round": made.offer.round,
            "offer": to_hex(made.hash),
            "signed": _json(made),
            "made_at": made_at,
        }
        for made in offers
    ]
    insert_rows(session, OFFER, rows)


def document_of(session: Session, quote: QuoteSession) -> SessionDocument | None:
    """Return everything of a session that was signed; None for one of before those were kept."""
    if not quote.listing_signature or not quote.request_signature:
        return None
    rows = session.exec(select(OfferRow).where(OfferRow.quote_id == quote.quote_id))
    times = {row.round: int(row.made_at.timestamp()) for row in rows}
    agreed = session.exec(select(AgreementRow).where(AgreementRow.quote_id == quote.quote_id)).one_or_none()
    return SessionDocument(
        quote_id=quote.quote_id,
        status=quote.status.value,
        terms=quote.terms,
        listing=SignedListing(document=quote.listing, signature=quote.listing_signature),
        mandate=quote.mandate,
        appointment=quote.appointment,
        request=quote.request,
        request_signature=quote.request_signature,
        offers=tuple(MadeOffer(signed=made, made_at=times[made.offer.round]) for made in quote.offers),
        agreement=quote.agreement() if agreed else None,
        agreed_at=int(agreed.agreed_at.timestamp()) if agreed else None,
    )


def add_agreements(session: Session, quotes: Sequence[QuoteSession], *, now: datetime) -> None:
    """Keep what both sides signed."""
    agreed = [(quote.quote_id, quote.agreement()) for quote in quotes]
    rows = [
        {"rental_id": to_hex(each.rental_id), "quote_id": name, "signed": _json(each), "agreed_at": now}
        for name, each in agreed
    ]
    insert_rows(session, AGREEMENT, rows)


def find_agreement(session: Session, rental_id: str) -> dict[str, Any] | None:
    """Return the SignedAgreement of a rental as it travels."""
    row = session.get(AgreementRow, rental_id) or session.get(TakenBackRow, rental_id)
    return None if row is None else row.signed


def take_back(session: Session, signed: SignedAgreement, *, now: datetime) -> None:
    """Keep an agreement that was lost, and end its session, where that was restored as it was before it.

    Raises Conflict where that session is others', or led to another agreement.
    """
    offer = signed.offer
    quote = session.get(Quote, offer.quote_id)
    if quote is not None:
        if (quote.device, quote.renter) != (to_hex(offer.device), to_hex(offer.renter)):
            raise Conflict("other_session", f"quote {offer.quote_id} is a session of others")
        if quote.status == QuoteStatus.AGREED.value:
            raise Conflict("agreed_otherwise", f"quote {offer.quote_id} led to another agreement")
        quote.status = QuoteStatus.ENDED.value
    row = TakenBackRow(
        rental_id=to_hex(signed.rental_id),
        quote_id=offer.quote_id,
        signed=signed.model_dump(mode="json"),
        taken_at=now,
    )
    session.add(row)


def reservations_under(session: Session, mandate: str) -> Sequence[Row[Any]]:
    """Return the rows of what a mandate has promised."""
    return (
        session.connection().execute(sql_select(_RESERVATION).where(_RESERVATION.c.mandate == mandate)).all()
    )


def expire_quotes(session: Session, now: datetime) -> None:
    """Close every session in which nobody acted in time."""
    session.execute(
        update(Quote)
        .where(col(Quote.status) == QuoteStatus.OPEN.value, col(Quote.answer_by) < now)
        .values(status=QuoteStatus.EXPIRED.value)
    )


def expire_quotes_named(session: Session, quote_ids: Collection[str]) -> None:
    """Close these sessions, in which nobody acted in time."""
    if quote_ids:
        session.execute(
            update(Quote).where(col(Quote.quote_id).in_(quote_ids)).values(status=QuoteStatus.EXPIRED.value)
        )


def end_unanswered_quotes(session: Session, *, device: str, listing: str) -> None:
    """End the sessions that asked about another listing of this device and got no offer yet."""
    answered = select(OfferRow.quote_id).where(col(OfferRow.quote_id) == col(Quote.quote_id)).exists()
    session.execute(
        update(Quote)
        .where(col(Quote.device) == device, col(Quote.status) == QuoteStatus.OPEN.value)
        .where(col(Quote.listing) != listing, ~answered)
        .values(status=QuoteStatus.ENDED.value)
    )


def _sessions_of(
    session: Session, quote_ids: Collection[str], remembered: Remembered
) -> dict[str, QuoteSession]:
    rows: Sequence[Row[Any]] = session.connection().execute(_STATES, {"quote_ids": list(quote_ids)}).all()
    found = ((row, remembered.find(row.quote_id)) for row in rows)
    known = {row.quote_id: quote for row, quote in found if quote is not None and _led_to(quote, row)}
    made = {row.quote_id: row.made for row in rows}
    read = _read(session, made.keys() - known.keys())
    read |= _read_on(session, [quote for name, quote in known.items() if len(quote.offers) < made[name]])
    remembered.note(read.values())
    return {row.quote_id: _at((known | read)[row.quote_id], row) for row in rows}


def _led_to(quote: QuoteSession, row: Row[Any]) -> bool:
    """Return whether only offers were added to a session since it was as remembered."""
    return len(quote.offers) <= row.made and (quote.appointment is not None or not row.spoken_for)


def _read_on(session: Session, quotes: Collection[QuoteSession]) -> dict[str, QuoteSession]:
    """Return sessions with the offers that were made since."""
    since = {quote.quote_id: quote.last.offer.round if quote.last else -1 for quote in quotes}
    made = _offers(session, since)
    return {each.quote_id: replace(each, offers=(*each.offers, *made[each.quote_id])) for each in quotes}


def _offers(session: Session, since: Mapping[str, int]) -> dict[str, list[SignedOffer]]:
    """Return the offers of sessions that came after these rounds."""
    made: dict[str, list[SignedOffer]] = {name: [] for name in since}
    if since:
        asked = {"quote_ids": list(since), "round": min(since.values())}
        for name, number, signed in session.connection().execute(_OFFERS_SINCE, asked):
            if number > since[name]:
                made[name].append(SignedOffer.model_validate(signed, strict=False))
    return made


def _at(quote: QuoteSession, row: Row[Any]) -> QuoteSession:
    """Return the session in its present state."""
    texts: dict[Side, str | None] = {"owner": row.owner_signature, "renter": row.renter_signature}
    signatures = {side: from_hex(text) for side, text in texts.items() if text}
    return replace(quote, status=QuoteStatus(row.status), answer_by=row.answer_by, signatures=signatures)


def _read(session: Session, quote_ids: Collection[str]) -> dict[str, QuoteSession]:
    """Return the documents and offers of sessions, whatever their state."""
    if not quote_ids:
        return {}
    made = _offers(session, dict.fromkeys(quote_ids, -1))
    rows = session.connection().execute(sql_select(QUOTE).where(QUOTE.c.quote_id.in_(quote_ids)))
    return {
        row.quote_id: QuoteSession(
            quote_id=row.quote_id,
            request=QuoteRequest.model_validate(row.request, strict=False),
            listing=ListingDocument.model_validate(row.document, strict=False),
            mandate=SignedMandate.model_validate(row.mandate, strict=False),
            terms=PlatformTerms.model_validate(row.terms, strict=False),
            answer_by=row.answer_by,
            listing_signature=from_hex(row.listing_signature or "0x"),
            request_signature=from_hex(row.request_signature or "0x"),
            offers=tuple(made[row.quote_id]),
            won=won_in(row),
            appointment=_appointment(row),
        )
        for row in rows
    }


def won_in(row: Row[Any]) -> WonPrice | None:
    """Return what an auction fixed, where this session carries out an award."""
    if row.won_auction is None or row.won_amount is None:
        return None
    return WonPrice(auction=from_hex(row.won_auction), amount=int(row.won_amount))


def _appointment(row: Row[Any]) -> SignedAppointment | None:
    if row.appointment is None:
        return None
    return SignedAppointment.model_validate(row.appointment, strict=False)


def _signature(quote: QuoteSession, side: Side) -> str | None:
    signature = quote.signatures.get(side)
    return to_hex(signature) if signature else None


def _json(model: BaseModel) -> WrittenJson:
    return WrittenJson(model.model_dump_json())
