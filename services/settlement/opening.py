"""Whether new rentals are taken, and what operators did by hand: in rows, so that restarts change nothing."""

from datetime import datetime
from typing import Any

from sqlmodel import Session

from services.messages.errors import Unavailable
from services.messages.settlement import OpensPause
from services.settlement.models import OpensPauseRow, OperatorActionRow

OPENS_PAUSED = "opens_paused"
# Nobody knows when it ends: often enough to notice, seldom enough to be no load.
RETRY_AFTER_SECONDS = 60


def pause_of(session: Session) -> OpensPause | None:
    """Return since when and why no new rental is taken; None while they are."""
    row = session.get(OpensPauseRow, 1)
    return None if row is None else OpensPause(reason=row.reason, since=row.since)


def pause(session: Session, reason: str, *, now: datetime) -> OpensPause:
    """Take no new rentals from now on, or go on taking none, for this reason."""
    row = session.get(OpensPauseRow, 1) or OpensPauseRow(reason=reason, since=now)
    row.reason = reason
    session.add(row)
    note_action(session, "pause_opens", {"reason": reason}, now=now)
    return OpensPause(reason=row.reason, since=row.since)


def resume(session: Session, *, now: datetime) -> bool:
    """Take new rentals again; return whether they were paused."""
    row = session.get(OpensPauseRow, 1)
    if row is None:
        return False
    session.delete(row)
    note_action(session, "resume_opens", {"reason": row.reason}, now=now)
    return True


def require_open(session: Session) -> None:
    """Raise Unavailable("opens_paused") while no new rental is taken."""
    found = pause_of(session)
    if found is not None:
        raise Unavailable(
            OPENS_PAUSED,
            f"no new rentals are taken now: {found.reason}",
            reason=found.reason,
            retry_after_seconds=RETRY_AFTER_SECONDS,
        )


def note_action(session: Session, action: str, detail: dict[str, Any], *, now: datetime) -> None:
    """Keep what an operator did."""
    session.add(OperatorActionRow(at=now, action=action, detail=detail))
