"""How each of the two databases is connected to, and how long it is waited for."""

import math
import time
from functools import partial
from pathlib import Path
from typing import Any

from sqlalchemy import Engine, create_engine, event
from sqlalchemy.engine import URL, Connection, Dialect
from sqlalchemy.exc import InvalidatePoolError
from sqlalchemy.pool import ConnectionPoolEntry, StaticPool

from services.chassis.rows import json_text

# A second process (ingest) writes metering's file too, in transactions of a few milliseconds.
SQLITE_BUSY_TIMEOUT_MS = 10_000
# On the server, because abandoning a query on our side leaves it running on theirs.
STATEMENT_TIMEOUT_MS = 15_000
# Below the statement's, which would otherwise end first and not say that another transaction was in the way.
LOCK_TIMEOUT_MS = 10_000
POOL_SIZE = 10
# A server that vanished without a word, with its machine or behind a firewall, answers nothing and refuses
# nothing: a query would wait for it for two hours, the kernel's default. Names and units are libpq's.
SERVER_GONE = {
    "keepalives_idle": 10,
    "keepalives_interval": 5,
    "keepalives_count": 3,
    "tcp_user_timeout": 25_000,
}

# How long a pooled connection may have rested to be trusted. What broke meanwhile fails one unit of work, as
# what breaks within one does.
ASK_AFTER_REST_SECONDS = 2.0
_RETURNED_AT = "returned_at"


def sqlite_engine(url: URL) -> Engine:
    """Return an engine whose transactions begin where they are told to, and last."""
    arguments = {"timeout": SQLITE_BUSY_TIMEOUT_MS / 1000, "check_same_thread": False}
    if url.database in (None, "", ":memory:"):
        engine = create_engine(url, connect_args=arguments, poolclass=StaticPool, json_serializer=json_text)
    else:
        Path(str(url.database)).parent.mkdir(parents=True, exist_ok=True)
        engine = create_engine(url, connect_args=arguments, pool_size=POOL_SIZE, json_serializer=json_text)
    event.listen(engine, "connect", _prepare_sqlite)
    event.listen(engine, "begin", _begin_sqlite)
    return engine


def _prepare_sqlite(connection: Any, _entry: ConnectionPoolEntry) -> None:
    # sqlite3 would otherwise begin transactions by itself, late and never IMMEDIATE.
    connection.isolation_level = None
    for pragma in (
        f"busy_timeout = {SQLITE_BUSY_TIMEOUT_MS}",
        "journal_mode = WAL",
        "synchronous = FULL",
        "foreign_keys = ON",
    ):
        connection.execute(f"PRAGMA {pragma}")


def _begin_sqlite(connection: Connection) -> None:
    # A deferred transaction that reads and then writes fails at once where another wrote in between, whatever
    # the timeout.
    writes = connection.get_execution_options().get("hireling_writes", False)
    connection.exec_driver_sql("BEGIN IMMEDIATE" if writes else "BEGIN")


def postgresql_engine(url: URL) -> Engine:
    """Return an engine that waits for nothing without end."""
    options = f"-c statement_timeout={STATEMENT_TIMEOUT_MS} -c lock_timeout={LOCK_TIMEOUT_MS} -c timezone=UTC"
    engine = create_engine(
        url.set(drivername="postgresql+psycopg"),
        connect_args={"options": options, "connect_timeout": 5, **SERVER_GONE},
        pool_size=POOL_SIZE,
        # The one that was used last knows the statements, and need not be asked whether it is still there.
        pool_use_lifo=True,
        # One statement by itself leaves nothing to roll back.
        skip_autocommit_rollback=True,
        json_serializer=json_text,
    )
    event.listen(engine, "checkin", _note_return)
    event.listen(engine, "checkout", partial(_ask_after_a_rest, engine.dialect))
    return engine


def _note_return(_connection: Any, entry: ConnectionPoolEntry) -> None:
    entry.info[_RETURNED_AT] = time.monotonic()


def _ask_after_a_rest(dialect: Dialect, connection: Any, entry: ConnectionPoolEntry, _proxy: Any) -> None:
    """Ask a connection that rested whether its server is still there; the pool makes new ones if not.

    SQLAlchemy's own way asks each time, which is a fourth of what a small transaction says to its server.
    """
    if time.monotonic() - entry.info.get(_RETURNED_AT, math.inf) < ASK_AFTER_REST_SECONDS:
        return
    try:
        dialect.do_ping(connection)
    except dialect.loaded_dbapi.Error as error:
        if dialect.is_disconnect(error, connection, None):
            raise InvalidatePoolError(str(error)) from error
        raise
