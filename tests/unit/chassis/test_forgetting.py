"""services.chassis.forgetting: what was told and heard goes when nobody can need it any more."""

from collections.abc import Iterator
from datetime import datetime, timedelta

import pytest
from pydantic import ValidationError
from sqlalchemy import insert, select

from services.chassis.database import Database, open_database
from services.chassis.forgetting import PIECE, KeepingSettings, forget_events
from services.chassis.handled import note_rows, remember_longer
from services.chassis.tables import CHASSIS_METADATA, INBOX, OUTBOX
from tests.builders import NOW

DAY = timedelta(days=1)
SETTINGS = KeepingSettings()


@pytest.fixture
def database() -> Iterator[Database]:
    """A database in memory with both tables."""
    opened = open_database("sqlite://")
    with opened.unit_of_work() as session:
        CHASSIS_METADATA.create_all(session.connection())
    yield opened
    opened.close()


def hear(database: Database, *keys: str, at: datetime) -> frozenset[str]:
    """Note events as handled then; return those that are new."""
    with database.unit_of_work() as session:
        return note_rows(session, [{"handler": "h", "key": key, "handled_at": at} for key in keys])


def tell(database: Database, *keys: str, at: datetime, sent_at: datetime | None) -> None:
    """Add events then, which left at another moment or not yet."""
    row = {"source": "s", "type": "t", "payload": {}, "created_at": at, "sent_at": sent_at}
    with database.unit_of_work() as session:
        session.execute(insert(OUTBOX), [{**row, "key": key} for key in keys])


def forget(database: Database, *, days: float) -> list[int]:
    """Forget what is old so many days from NOW; return the pauses between the pieces."""
    pauses: list[int] = []
    now = NOW + days * DAY
    forget_events(database, SETTINGS, service="toy", now=now, pause=lambda: pauses.append(1))
    return pauses


def kept(database: Database) -> set[str]:
    """Return the keys of all that is remembered."""
    with database.snapshot() as session:
        both = (select(OUTBOX.c.key), select(INBOX.c.key))
        return {key for query in both for key in session.execute(query).scalars()}


class TestForgetEvents:
    def test_takes_what_was_told_a_week_ago_and_never_what_did_not_leave(self, database: Database) -> None:
        tell(database, "long ago", at=NOW - 90 * DAY, sent_at=NOW)
        tell(database, "stuck", at=NOW - 90 * DAY, sent_at=None)
        forget(database, days=7)
        assert kept(database) == {"long ago", "stuck"}
        forget(database, days=7.1)
        assert kept(database) == {"stuck"}

    def test_takes_what_was_heard_a_month_ago(self, database: Database) -> None:
        hear(database, "one", at=NOW)
        hear(database, "later", at=NOW + DAY)
        forget(database, days=30)
        assert hear(database, "one", "later", at=NOW) == frozenset()
        forget(database, days=30.1)
        assert kept(database) == {"later"}

    def test_goes_in_pieces_and_leaves_none_out(self, database: Database) -> None:
        hear(database, *(f"event {number}" for number in range(2 * PIECE + 1)), at=NOW)
        assert len(forget(database, days=31)) == 1 + 3
        assert kept(database) == set()

    def test_what_is_about_to_come_again_is_remembered_as_if_it_had_just_come(
        self, database: Database
    ) -> None:
        hear(database, "old", at=NOW - DAY)
        hear(database, "fresh", at=NOW)
        with database.unit_of_work() as session:
            remember_longer(session, since=NOW, now=NOW + 60 * DAY)
        forget(database, days=60)
        assert kept(database) == {"fresh"}


class TestKeepingSettings:
    def test_what_is_heard_outlasts_what_is_told(self) -> None:
        with pytest.raises(ValidationError, match="a day longer"):
            KeepingSettings(told_keep_days=30, heard_keep_days=30)
        assert KeepingSettings(told_keep_days=30, heard_keep_days=31).heard_keep_days == 31
