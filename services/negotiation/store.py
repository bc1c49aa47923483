"""The negotiation service's only queries."""

from datetime import datetime
from typing import Any

from sqlalchemy import delete, update
from sqlalchemy.exc import IntegrityError
from sqlmodel import Session, col, select

from hireling.rental.agreement import SignedAgreement
from hireling.rental.listing import ListingDocument, SignedListing
from hireling.rental.mandate import SignedMandate
from hireling.rental.offer import PlatformTerms, QuoteRequest, SignedOffer
from hireling.rental.session_document import MadeOffer, SessionDocument
from hireling.rental.typed_data import from_hex
from services.messages.negotiation import QuoteStatus
from services.negotiation.models import AgreementRow, OfferRow, Quote, TakenDevice
from services.negotiation.session import QuoteSession


def load(session: Session, quote_id: str) -> QuoteSession | None:
    """Return a quote session."""
    row = session.get(Quote, quote_id)
    return None if row is None else _session_of(session, row)


def load_locked(session: Session, quote_id: str) -> QuoteSession | None:
    """Return a quote session, kept from other writers until this unit of work ends."""
    row = session.exec(select(Quote).where(Quote.quote_id == quote_id).with_for_update()).one_or_none()
    return None if row is None else _session_of(session, row)


def open_sessions_of(session: Session, device: str) -> list[QuoteSession]:
    """Return a device's sessions that are not over, oldest first."""
    statement = select(Quote).where(Quote.device == device, Quote.status == QuoteStatus.OPEN.value)
    rows = session.exec(statement.order_by(col(Quote.asked_at), col(Quote.quote_id)))
    return [_session_of(session, row) for row in rows]


def open_quote_of(session: Session, *, device: str, renter: str) -> Quote | None:
    """Return the one session that this renter has open with this device."""
    statement = select(Quote).where(
        Quote.device == device, Quote.renter == renter, Quote.status == QuoteStatus.OPEN.value
    )
    return session.exec(statement).one_or_none()


def add_quote(session: Session, quote: QuoteSession, *, asked_at: datetime) -> bool:
    """Keep a new session; return False where this renter has another one open with this device."""
    row = Quote(
        quote_id=quote.quote_id,
        device=f"0x{quote.request.device.hex()}",
        renter=f"0x{quote.request.renter.hex()}",
        listing=f"0x{quote.request.listing.hex()}",
        request=_json(quote.request),
        document=_json(quote.listing),
        mandate=_json(quote.mandate),
        terms=_json(quote.terms),
        status=quote.status.value,
        asked_at=asked_at,
        answer_by=quote.answer_by,
        listing_signature=f"0x{quote.listing_signature.hex()}",
        request_signature=f"0x{quote.request_signature.hex()}",
    )
    return _added(session, row)


def save(session: Session, quote: QuoteSession, *, now: datetime) -> None:
    """Keep what a step changed: status, deadline, signatures, and a new offer."""
    row = session.get_one(Quote, quote.quote_id)
    row.status, row.answer_by = quote.status.value, quote.answer_by
    row.owner_signature, row.renter_signature = (
        f"0x{signature.hex()}" if signature else None
        for signature in (quote.signatures.get("owner"), quote.signatures.get("renter"))
    )
    if quote.last is not None and session.get(OfferRow, (quote.quote_id, quote.last.offer.round)) is None:
        session.add(
            OfferRow(
                quote_id=quote.quote_id,
                round=quote.last.offer.round,
                offer=f"0x{quote.last.hash.hex()}",
                signed=_json(quote.last),
                made_at=now,
            )
        )


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
        request=quote.request,
        request_signature=quote.request_signature,
        offers=tuple(MadeOffer(signed=made, made_at=times[made.offer.round]) for made in quote.offers),
        agreement=quote.agreement() if agreed else None,
        agreed_at=int(agreed.agreed_at.timestamp()) if agreed else None,
    )


def add_agreement(session: Session, *, quote_id: str, agreed: SignedAgreement, now: datetime) -> None:
    """Keep what both sides signed."""
    rental_id = f"0x{agreed.rental_id.hex()}"
    session.add(AgreementRow(rental_id=rental_id, quote_id=quote_id, signed=_json(agreed), agreed_at=now))


def find_agreement(session: Session, rental_id: str) -> AgreementRow | None:
    """Return what both sides signed."""
    return session.get(AgreementRow, rental_id)


def taken(session: Session, device: str) -> TakenDevice | None:
    """Return the rental that keeps this device from others."""
    return session.get(TakenDevice, device)


def take_device(session: Session, taking: TakenDevice) -> bool:
    """Keep the device for a rental; return False where another one has it."""
    return _added(session, taking)


def free_device(session: Session, *, device: str, rental_id: str) -> None:
    """Let the next rental have the device, where this one had it."""
    session.execute(
        delete(TakenDevice).where(col(TakenDevice.device) == device, col(TakenDevice.rental_id) == rental_id)
    )


def expire_quotes(session: Session, now: datetime) -> None:
    """Close every session in which nobody acted in time."""
    session.execute(
        update(Quote)
        .where(col(Quote.status) == QuoteStatus.OPEN.value, col(Quote.answer_by) < now)
        .values(status=QuoteStatus.EXPIRED.value)
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


def _session_of(session: Session, row: Quote) -> QuoteSession:
    offers = session.exec(
        select(OfferRow).where(OfferRow.quote_id == row.quote_id).order_by(col(OfferRow.round))
    )
    signatures = {"owner": row.owner_signature, "renter": row.renter_signature}
    return QuoteSession(
        quote_id=row.quote_id,
        request=QuoteRequest.model_validate(row.request, strict=False),
        listing=ListingDocument.model_validate(row.document, strict=False),
        mandate=SignedMandate.model_validate(row.mandate, strict=False),
        terms=PlatformTerms.model_validate(row.terms, strict=False),
        answer_by=row.answer_by,
        listing_signature=from_hex(row.listing_signature or "0x"),
        request_signature=from_hex(row.request_signature or "0x"),
        status=QuoteStatus(row.status),
        offers=tuple(SignedOffer.model_validate(offer.signed, strict=False) for offer in offers),
        signatures={side: from_hex(text) for side, text in signatures.items() if text},  # type: ignore[misc]
    )


def _added(session: Session, row: Quote | TakenDevice) -> bool:
    try:
        with session.begin_nested():
            session.add(row)
    except IntegrityError:
        return False
    return True


def _json(model: Any) -> dict[str, Any]:
    dumped: dict[str, Any] = model.model_dump(mode="json")
    return dumped
