"""What settlement holds of a person: the accounts, which stay, and what only running rentals need."""

from collections.abc import Sequence

from sqlalchemy import ColumnElement, and_, or_
from sqlmodel import Session, col, select

from hireling.rental.states import TERMINAL
from services.chassis.people import Held, events_of, goes, stays
from services.messages.errors import Conflict
from services.messages.people import Person
from services.settlement.models import (
    AcknowledgedRow,
    BatchedClaimRow,
    BillRow,
    EarlyReadingRow,
    FlagRow,
    LogRow,
    RefusalRow,
    RentalRow,
    TransactionRow,
)

ACCOUNTS = "the accounts of money that moved, which the law has kept; keys and amounts, no names"
PUBLIC = "a copy of what is public on the chain, from which the accounts follow"
_ENDED = tuple(state.value for state in TERMINAL)


def _transactions(person: Person) -> ColumnElement[bool]:
    # Gifts of a faucet and withdrawals name the wallet in their key.
    key = col(TransactionRow.key)
    return or_(
        col(TransactionRow.rental_id).in_(person.rental_ids),
        and_(col(TransactionRow.rental_id).is_(None), key.contains(person.address, autoescape=True)),
    )


TABLES: Sequence[Held] = (
    goes(EarlyReadingRow, lambda person: col(EarlyReadingRow.rental_id).in_(person.rental_ids)),
    goes(RefusalRow, lambda person: col(RefusalRow.rental_id).in_(person.rental_ids)),
    goes(FlagRow, lambda person: col(FlagRow.rental_id).in_(person.rental_ids)),
    goes(AcknowledgedRow, lambda person: col(AcknowledgedRow.rental_id).in_(person.rental_ids)),
    stays(RentalRow, lambda person: col(RentalRow.rental_id).in_(person.rental_ids), ACCOUNTS),
    # Bills are read out one by one: a week's has forty megabytes.
    stays(BillRow, lambda person: col(BillRow.rental_id).in_(person.rental_ids), ACCOUNTS, unread=["signed"]),
    stays(TransactionRow, _transactions, ACCOUNTS),
    stays(BatchedClaimRow, lambda person: col(BatchedClaimRow.rental_id).in_(person.rental_ids), ACCOUNTS),
    stays(LogRow, lambda person: col(LogRow.subject).in_(person.rental_ids), PUBLIC),
    events_of(lambda person: person.rental_ids),
)


def rentals_of(session: Session, address: str) -> list[RentalRow]:
    """Return the rentals of a wallet, on whichever side it is, oldest first."""
    owner = col(RentalRow.signed)["agreement"]["pay"]["owner"].as_string()
    theirs = or_(col(RentalRow.renter) == address, owner == address)
    statement = select(RentalRow).where(theirs).order_by(col(RentalRow.created_at), RentalRow.rental_id)
    return list(session.exec(statement).all())


def is_over(row: RentalRow) -> bool:
    """Return whether nothing of a rental moves any more: ended, paid out and billed, or never funded."""
    return row.state in _ENDED and (row.money == "none" or (row.money == "done" and row.billed))


def require_erasable(session: Session, address: str) -> None:
    """Raise Conflict while a rental of this wallet runs."""
    running = [row.rental_id for row in rentals_of(session, address) if not is_over(row)]
    if running:
        raise Conflict(
            "rentals_running",
            f"{len(running)} rentals of {address} are not over: {', '.join(running[:5])}",
            rental_ids=running,
        )
