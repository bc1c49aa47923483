"""The gateway's only queries."""

from datetime import datetime

from sqlalchemy import delete
from sqlalchemy.exc import IntegrityError
from sqlmodel import Session, col, select

from services.gateway.models import KeptAnswer


def lock_answer(session: Session, key: str) -> KeptAnswer | None:
    """Return what is kept under this key, which nobody else changes or forgets until the transaction ends."""
    return session.get(KeptAnswer, key, with_for_update=True)


def reserve_answer(session: Session, answer: KeptAnswer) -> bool:
    """Keep a place for the answer to come; return whether nobody else had it."""
    try:
        with session.begin_nested():
            session.add(answer)
    except IntegrityError:
        return False
    return True


def drop_answer(session: Session, key: str) -> None:
    """Forget what is kept under this key."""
    session.execute(delete(KeptAnswer).where(col(KeptAnswer.key) == key))


def drop_answers_before(session: Session, moment: datetime) -> None:
    """Forget what is older, and leave to others what they have locked: they forget it too."""
    old = select(KeptAnswer.key).where(col(KeptAnswer.asked_at) < moment).with_for_update(skip_locked=True)
    session.execute(delete(KeptAnswer).where(col(KeptAnswer.key).in_(old)))
