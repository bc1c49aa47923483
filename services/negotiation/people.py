"""What negotiation holds of a person: sessions, which go unless a rental came of them, and mandates."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime

from sqlalchemy import ColumnElement, or_
from sqlmodel import Session, col, select

from services.chassis.people import Held, events_of, goes, goes_where, stays
from services.messages.errors import Conflict
from services.messages.people import Person
from services.negotiation.models import (
    AgreementRow,
    AppointmentRow,
    ApprovalRow,
    AwardRow,
    DelegateDecisionRow,
    DelegateKeyRow,
    MandateReservation,
    OfferRow,
    Quote,
    RevocationRow,
    SlotRow,
    TakenBackRow,
)

CONTRACT = "a rental came of it: what both sides signed is the contract that the accounts stand on"
WITHDRAWN = "a mandate that was taken back would count again without it"
OUTCOME = "others verify their auction's outcome with it"


def _quotes(person: Person) -> ColumnElement[bool]:
    return or_(col(Quote.renter) == person.address, col(Quote.device).in_(person.devices))


TABLES: Sequence[Held] = (
    goes(DelegateDecisionRow, lambda person: col(DelegateDecisionRow.owner) == person.address),
    goes(AppointmentRow, lambda person: col(AppointmentRow.owner) == person.address),
    # What is encrypted is nobody's to read, the owner's neither.
    replace(
        goes(DelegateKeyRow, lambda person: col(DelegateKeyRow.device).in_(person.devices)),
        unread=frozenset({"sealed"}),
    ),
    goes(SlotRow, lambda person: col(SlotRow.rental_id).in_(person.rental_ids)),
    goes(
        ApprovalRow,
        lambda person: or_(
            col(ApprovalRow.principal) == person.address, col(ApprovalRow.rental_id).in_(person.rental_ids)
        ),
    ),
    goes_where(
        OfferRow,
        lambda person: col(OfferRow.quote_id).in_(select(Quote.quote_id).where(_quotes(person))),
        lambda: col(OfferRow.quote_id).not_in(select(AgreementRow.quote_id)),
        else_kept=CONTRACT,
    ),
    goes_where(
        Quote,
        _quotes,
        lambda: col(Quote.quote_id).not_in(select(AgreementRow.quote_id)),
        else_kept=CONTRACT,
    ),
    stays(AgreementRow, lambda person: col(AgreementRow.rental_id).in_(person.rental_ids), CONTRACT),
    stays(TakenBackRow, lambda person: col(TakenBackRow.rental_id).in_(person.rental_ids), CONTRACT),
    stays(
        MandateReservation,
        lambda person: col(MandateReservation.rental_id).in_(person.rental_ids),
        "it counts against the total of its owner's mandate",
    ),
    stays(RevocationRow, lambda person: col(RevocationRow.principal) == person.address, WITHDRAWN),
    stays(AwardRow, lambda person: col(AwardRow.device).in_(person.devices), OUTCOME),
    events_of(lambda person: (*person.rental_ids, *person.quote_ids)),
)


def quotes_of(session: Session, person: Person) -> list[str]:
    """Return the sessions of a wallet as a renter, or about a device of its own."""
    return list(session.exec(select(Quote.quote_id).where(_quotes(person))).all())


def require_erasable(session: Session, person: Person, *, now: datetime) -> None:
    """Raise Conflict while a session of this person is open."""
    running = (col(Quote.status) == "open", col(Quote.answer_by) >= now)
    found = session.exec(select(Quote.quote_id).where(_quotes(person), *running)).all()
    if found:
        raise Conflict(
            "sessions_open",
            f"{len(found)} bargaining sessions of {person.address} are open; they end within minutes",
            quote_ids=list(found),
        )
