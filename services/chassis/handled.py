"""What a service remembers of the events that it handled, so that it handles each once."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import delete, select, tuple_, update
from sqlalchemy.dialects import postgresql, sqlite
from sqlmodel import Session

from services.chassis.tables import INBOX

_NOTED = {
    name: insert(INBOX).on_conflict_do_nothing().returning(INBOX.c.key)
    for name, insert in (("postgresql", postgresql.insert), ("sqlite", sqlite.insert))
}


def note_rows(session: Session, rows: Sequence[dict[str, Any]]) -> frozenset[str]:
    """Note events as handled, and return the keys of those that were not before.

    A copy handling one at this very moment is waited for.
    """
    if not rows:
        return frozenset()
    statement = _NOTED[session.get_bind().dialect.name]
    return frozenset(session.connection().execute(statement, rows).scalars())


def forget_heard(session: Session, *, before: datetime, limit: int) -> int:
    """Delete the keys of up to `limit` events that were handled before this moment; return how many.

    Those that another copy deletes at this moment are left to it.
    """
    key = (INBOX.c.handler, INBOX.c.key)
    oldest = select(*key).where(INBOX.c.handled_at < before).order_by(INBOX.c.handled_at).limit(limit)
    found = [tuple(row) for row in session.execute(oldest.with_for_update(skip_locked=True))]
    if found:
        session.execute(delete(INBOX).where(tuple_(*key).in_(found)))
    return len(found)


def remember_longer(session: Session, *, since: datetime, now: datetime) -> None:
    """Remember what was handled since this moment as if it had been just now: it is about to come again."""
    session.execute(update(INBOX).where(INBOX.c.handled_at >= since).values(handled_at=now))
