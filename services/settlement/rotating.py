"""One relayer after the other: a new one signs once nothing that the one before signed is under way.

Anybody may relay, so the escrow need not be told. Two keys at once would be two lanes of nonces.
"""

from datetime import datetime

from sqlmodel import Session, col, select, update

from services.messages.settlement import RelayerView
from services.settlement.chain_store import PENDING
from services.settlement.models import RelayerRow, TransactionRow


def current(session: Session) -> int:
    """Return the number of the relayer that signs."""
    statement = select(RelayerRow.number).where(col(RelayerRow.took_over_at).is_not(None))
    return session.exec(statement.order_by(col(RelayerRow.number).desc()).limit(1)).first() or 0


def waiting(session: Session) -> RelayerRow | None:
    """Return the relayer that is to take over, if any."""
    return session.exec(select(RelayerRow).where(col(RelayerRow.took_over_at).is_(None))).one_or_none()


def begin(session: Session, address: str, *, number: int, now: datetime) -> RelayerRow:
    """Keep that this relayer is to take over."""
    row = RelayerRow(number=number, address=address, made_at=now)
    session.add(row)
    return row


def take_over(session: Session, number: int, *, now: datetime) -> bool:
    """Have the relayer sign from now on, unless something that was signed is still under way."""
    if session.exec(
        select(TransactionRow.id).where(col(TransactionRow.status).in_(PENDING)).limit(1)
    ).first():
        return False
    # What is final keeps its hash and its signed bytes; the new lane counts nonces from its own beginning.
    session.execute(update(TransactionRow).where(col(TransactionRow.nonce).is_not(None)).values(nonce=None))
    session.get_one(RelayerRow, number).took_over_at = now
    return True


def relayers(session: Session, *, first: str) -> list[RelayerView]:
    """Return all of them in order; ``first`` is the address of the one without a row."""
    rows = session.exec(select(RelayerRow).order_by(col(RelayerRow.number))).all()
    signing = current(session)
    return [
        RelayerView(number=0, address=first, signs=signing == 0, since=None),
        *(
            RelayerView(
                number=row.number, address=row.address, signs=signing == row.number, since=row.took_over_at
            )
            for row in rows
        ),
    ]
