"""The queries about delegates: their keys, what stands for which machine, where it is their turn, and why."""

from collections.abc import Collection, Mapping, Sequence
from datetime import datetime, timedelta

from sqlalchemy import bindparam, delete, exists, func, or_, update
from sqlmodel import Session, col, select
from sqlmodel.sql.expression import Select

from hireling.rental.appointment import DelegateOrder
from hireling.rental.mandate import SignedRevocation
from hireling.rental.typed_data import to_hex
from services.negotiation.models import (
    AppointmentRow,
    AwardRow,
    DelegateDecisionRow,
    DelegateKeyRow,
    OfferRow,
    Quote,
)
from services.negotiation.session import QuoteSession

# An owner signs within minutes of asking for a key; one that nobody appointed is erased after a day.
UNUSED_FOR = timedelta(days=1)


def unused_key(session: Session, device: str) -> DelegateKeyRow | None:
    """Return the key that waits for an appointment for this machine."""
    appointed = exists().where(col(AppointmentRow.delegate) == col(DelegateKeyRow.delegate))
    statement = select(DelegateKeyRow).where(DelegateKeyRow.device == device, ~appointed)
    return session.exec(statement.order_by(col(DelegateKeyRow.made_at), col(DelegateKeyRow.delegate))).first()


def add_key(session: Session, *, device: str, delegate: str, sealed: str, now: datetime) -> None:
    """Keep a new key, encrypted."""
    session.add(DelegateKeyRow(delegate=delegate, device=device, sealed=sealed, made_at=now))


def key_row(session: Session, delegate: str) -> DelegateKeyRow | None:
    """Return a delegate's key, encrypted."""
    return session.get(DelegateKeyRow, delegate)


def appointment_of(session: Session, device: str) -> AppointmentRow | None:
    """Return what stands for a machine, expired or not."""
    return session.get(AppointmentRow, device)


def appoint(session: Session, order: DelegateOrder, *, now: datetime) -> None:
    """Let this appointment stand for its machine, and erase the key of the one before."""
    said = order.signed.appointment
    device, delegate = to_hex(said.device), to_hex(said.delegate)
    session.execute(delete(AppointmentRow).where(col(AppointmentRow.device) == device))
    session.execute(
        delete(DelegateKeyRow).where(
            col(DelegateKeyRow.device) == device, col(DelegateKeyRow.delegate) != delegate
        )
    )
    session.add(
        AppointmentRow(
            device=device,
            delegate=delegate,
            owner=to_hex(order.signed.owner),
            revocation=to_hex(order.mandate.mandate.revocation),
            order=order.model_dump(mode="json"),
            valid_until=said.valid_until,
            appointed_at=now,
        )
    )


def end_revoked(session: Session, word: SignedRevocation) -> None:
    """End the appointments whose mandate its owner revoked for good, and erase their keys."""
    owner, revocation = to_hex(word.principal), to_hex(word.revocation.subject)
    revoked = (AppointmentRow.owner == owner, AppointmentRow.revocation == revocation)
    _end(session, session.exec(select(AppointmentRow.delegate).where(*revoked)).all())


def end_expired(session: Session, now: datetime) -> None:
    """End the appointments whose time is over, and erase their keys and those that nobody appointed."""
    over = col(AppointmentRow.valid_until) < int(now.timestamp())
    _end(session, session.exec(select(AppointmentRow.delegate).where(over)).all())
    appointed = exists().where(col(AppointmentRow.delegate) == col(DelegateKeyRow.delegate))
    stale = col(DelegateKeyRow.made_at) < now - UNUSED_FOR
    session.execute(
        delete(DelegateKeyRow).where(stale, ~appointed).execution_options(synchronize_session=False)
    )


def _end(session: Session, delegates: Collection[str]) -> None:
    if delegates:
        session.execute(delete(AppointmentRow).where(col(AppointmentRow.delegate).in_(delegates)))
        session.execute(delete(DelegateKeyRow).where(col(DelegateKeyRow.delegate).in_(delegates)))


def waiting(session: Session, now: datetime, *, limit: int) -> Mapping[str, AppointmentRow]:
    """Return the sessions of machines with delegates in which the owner has to act and nothing was decided.

    Each with its machine's appointment, those that were asked first at first.
    """
    return dict(session.exec(_WAITING, params={"now": now, "limit": limit}).all())


def _waiting() -> Select[str, AppointmentRow]:
    made = (
        select(func.count())
        .select_from(OfferRow)
        .where(OfferRow.quote_id == Quote.quote_id)
        .scalar_subquery()
    )
    decided = exists().where(
        col(DelegateDecisionRow.quote_id) == col(Quote.quote_id), col(DelegateDecisionRow.round) == made
    )
    return (
        select(Quote.quote_id, AppointmentRow)
        .join(AppointmentRow, col(AppointmentRow.device) == col(Quote.device))
        .where(Quote.status == "open", col(Quote.answer_by) >= bindparam("now"))
        .where(col(Quote.owner_signature).is_(None))
        .where(or_(made % 2 == 0, col(Quote.renter_signature).is_not(None)), ~decided)
        .order_by(col(Quote.asked_at), col(Quote.quote_id))
        .limit(bindparam("limit"))
    )


# Made once: it is asked four times a second.
_WAITING = _waiting()


def standing(session: Session) -> frozenset[str]:
    """Return the delegates that are appointed."""
    return frozenset(session.exec(select(AppointmentRow.delegate)))


def is_decided(session: Session, quote_id: str, number: int) -> bool:
    """Return whether the delegate made up its mind about a turn."""
    return session.get(DelegateDecisionRow, (quote_id, number)) is not None


def add_decision(session: Session, row: DelegateDecisionRow) -> None:
    """Keep a decision. The caller's transaction fails where another copy was first."""
    session.add(row)
    session.flush()


def decisions_of(session: Session, quote_id: str) -> Sequence[DelegateDecisionRow]:
    """Return a session's decisions, the earliest first."""
    statement = select(DelegateDecisionRow).where(DelegateDecisionRow.quote_id == quote_id)
    return session.exec(statement.order_by(col(DelegateDecisionRow.round))).all()


def won_until(session: Session, quote_id: str) -> int | None:
    """Return until when the award that a session carries out stands, in Unix seconds."""
    return session.exec(select(AwardRow.until).where(AwardRow.quote_id == quote_id)).first()


def note_spoken_for(session: Session, quotes: Collection[QuoteSession]) -> None:
    """Keep by which appointments delegates speak in sessions."""
    for quote in quotes:
        if quote.appointment is not None:
            signed = quote.appointment.model_dump(mode="json")
            named = col(Quote.quote_id) == quote.quote_id
            session.execute(update(Quote).where(named).values(appointment=signed))
