"""What was told and heard is forgotten some time after: the one rule for every service's outbox and inbox.

An outbox row is needed until its event has left, and while a restore may have it leave again. An inbox row
is needed while its event may be delivered once more: by a relay that missed a confirmation, by a restore, by
an operator who replays. A parked event has none, since its handling was rolled back: it may be replayed
however late. So what was heard outlasts what was told by far.
"""

from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Self

from pydantic import Field, model_validator
from pydantic_settings import SettingsConfigDict
from sqlmodel import Session

from services.chassis.counts import ROWS_FORGOTTEN
from services.chassis.database import Database
from services.chassis.handled import forget_heard
from services.chassis.logging import get_logger
from services.chassis.outbox import forget_sent
from services.chassis.settings import ServiceSettings

# Some milliseconds of a database's time: whoever writes beside it hardly waits.
PIECE = 500

_log = get_logger(__name__)


class KeepingSettings(ServiceSettings):
    """How long events are remembered: HIRELING_TOLD_KEEP_DAYS and HIRELING_HEARD_KEEP_DAYS."""

    model_config = SettingsConfigDict(env_prefix="HIRELING_")

    told_keep_days: float = Field(default=7, ge=2, description="in the outbox, since they left")
    heard_keep_days: float = Field(default=30, description="in the inbox, since they were handled")

    @model_validator(mode="after")
    def _heard_outlasts_told(self) -> Self:
        if self.heard_keep_days < self.told_keep_days + 1:
            raise ValueError(
                f"what is told is kept for {self.told_keep_days} days, and may leave again: remember "
                f"what was heard for a day longer at least, not for {self.heard_keep_days}"
            )
        return self


def forget_events(
    database: Database, settings: KeepingSettings, *, service: str, now: datetime, pause: Callable[[], None]
) -> None:
    """Delete the events that were told, and the keys of those that were heard, so long ago.

    Any number of copies may do it at once. ``pause`` is called between the pieces.
    """
    told, heard = (now - timedelta(days=days) for days in (settings.told_keep_days, settings.heard_keep_days))
    found = {
        "outbox": in_pieces(
            database, lambda session, most: forget_sent(session, before=told, limit=most), pause
        ),
        "inbox": in_pieces(
            database, lambda session, most: forget_heard(session, before=heard, limit=most), pause
        ),
    }
    for table, rows in found.items():
        ROWS_FORGOTTEN.labels(service, table).inc(rows)
    if any(found.values()):
        _log.info("events_forgotten", service=service, **found)


def in_pieces(
    database: Database,
    delete: Callable[[Session, int], int],
    pause: Callable[[], None],
    *,
    piece: int = PIECE,
) -> int:
    """Delete so many rows at most in each of many short units of work, while there are some; return how many.

    ``delete`` returns how many it deleted.
    """
    total, deleted = 0, piece
    while deleted == piece:
        with database.queue_work() as session:
            deleted = delete(session, piece)
        total += deleted
        pause()
    return total
