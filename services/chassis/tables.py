"""The two tables that every service's database has.

What it must still tell (outbox) and what it has already heard (inbox).

They live in metadata of their own, and each service's first migration creates them.
"""

from datetime import UTC, datetime
from typing import Any

from alembic.operations import Operations
from sqlalchemy import JSON, BigInteger, Column, DateTime, Index, Integer, MetaData, String, Table
from sqlalchemy.engine import Dialect
from sqlalchemy.types import TypeDecorator


class UtcDateTime(TypeDecorator[datetime]):
    """An aware moment, stored and returned in UTC; SQLite would forget the zone.

    Raises ValueError for a naive one.
    """

    impl = DateTime(timezone=True)
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        """Refuse naive moments and store the rest in UTC."""
        if value is None:
            return None
        if value.tzinfo is None:
            raise ValueError(f"a moment without a time zone: {value.isoformat()}")
        return value.astimezone(UTC)

    def process_result_value(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        """Return the moment aware, in UTC."""
        if value is None:
            return None
        return value.replace(tzinfo=UTC) if value.tzinfo is None else value.astimezone(UTC)


CHASSIS_METADATA = MetaData()

# SQLite numbers rows by itself only where the primary key is exactly INTEGER.
_BIG_ID = BigInteger().with_variant(Integer, "sqlite")

OUTBOX = Table(
    "outbox",
    CHASSIS_METADATA,
    Column("id", _BIG_ID, primary_key=True, autoincrement=True),
    Column("key", String, nullable=False, unique=True),
    Column("source", String, nullable=False),
    Column("type", String, nullable=False),
    Column("payload", JSON, nullable=False),
    Column("trace", String, nullable=True),
    Column("created_at", UtcDateTime, nullable=False),
    Column("sent_at", UtcDateTime, nullable=True),
    sqlite_autoincrement=True,
)
Index(
    "outbox_unsent",
    OUTBOX.c.id,
    sqlite_where=OUTBOX.c.sent_at.is_(None),
    postgresql_where=OUTBOX.c.sent_at.is_(None),
)

INBOX = Table(
    "inbox",
    CHASSIS_METADATA,
    Column("handler", String, primary_key=True),
    Column("key", String, primary_key=True),
    Column("handled_at", UtcDateTime, nullable=False),
)
# In the order in which it is forgotten, and in which it is written: it grows at one end.
INBOX_BY_TIME = Index("inbox_handled_at", INBOX.c.handled_at)


def create_outbox_and_inbox(operations: Operations | Any) -> None:
    """Create both tables; call it with alembic's ``op`` in a service's first migration."""
    CHASSIS_METADATA.create_all(operations.get_bind())


def drop_outbox_and_inbox(operations: Operations | Any) -> None:
    """Drop both tables; call it with alembic's ``op`` in a service's first migration's downgrade."""
    CHASSIS_METADATA.drop_all(operations.get_bind())


def index_inbox_by_time(operations: Operations | Any) -> None:
    """Create the inbox's index by time, for an inbox that was created without."""
    INBOX_BY_TIME.create(operations.get_bind(), checkfirst=True)


def drop_inbox_by_time(operations: Operations | Any) -> None:
    """Drop it."""
    INBOX_BY_TIME.drop(operations.get_bind(), checkfirst=True)
