"""One database per service: SQLite embedded, PostgreSQL on the stack, the same rows and the same rules.

No framework in here: the asyncio ingest opens metering's database by the same door as the eventlet services.
"""

import threading
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from contextvars import ContextVar
from pathlib import Path
from typing import Any

from sqlalchemy import Engine, create_engine, event
from sqlalchemy.engine import URL, Connection, make_url
from sqlalchemy.pool import ConnectionPoolEntry, StaticPool
from sqlmodel import Session

# A second process (ingest) writes metering's file too, in transactions of a few milliseconds.
SQLITE_BUSY_TIMEOUT_MS = 10_000
# On the server, because abandoning a query on our side leaves it running on theirs.
STATEMENT_TIMEOUT_MS = 15_000
POOL_SIZE = 10

# The session's note that it added an event, for the relay to be woken after the commit.
EVENT_ADDED = "event_added"

_inside_unit_of_work: ContextVar[bool] = ContextVar("inside_unit_of_work", default=False)


def inside_unit_of_work() -> bool:
    """Return whether the calling thread or greenlet has a unit of work open; nothing remote may be called
    there.
    """
    return _inside_unit_of_work.get()


class Database:
    """A service's database; open it with `open_database`, once per process."""

    def __init__(self, engine: Engine, write_lock: AbstractContextManager[Any]) -> None:
        self.engine = engine
        self._writing = engine.execution_options(hireling_writes=True)
        self._write_lock = write_lock
        self._listeners: list[Callable[[], None]] = []

    @contextmanager
    def unit_of_work(self) -> Iterator[Session]:
        """Open one write transaction: it commits when the block ends, and rolls back when the block raises.

        Raises RuntimeError inside another one: the inner would wait for the outer for ever.
        """
        if _inside_unit_of_work.get():
            raise RuntimeError("a unit of work inside a unit of work")
        with self._write_lock:
            entered = _inside_unit_of_work.set(True)
            try:
                with Session(self._writing, expire_on_commit=False) as session, session.begin():
                    yield session
            finally:
                _inside_unit_of_work.reset(entered)
        if session.info.get(EVENT_ADDED):
            self._tell_listeners()

    @contextmanager
    def snapshot(self) -> Iterator[Session]:
        """Open a session that reads one consistent state and never writes: whatever it changed is rolled
        back.
        """
        with Session(self.engine, expire_on_commit=False, autoflush=False) as session:
            yield session

    def on_event_added(self, listener: Callable[[], None]) -> None:
        """Call `listener` after every commit in this process that added an event to the outbox."""
        self._listeners.append(listener)

    def close(self) -> None:
        """Close every pooled connection."""
        self.engine.dispose()

    def _tell_listeners(self) -> None:
        for listener in self._listeners:
            listener()


def open_database(url: str, *, write_lock: AbstractContextManager[Any] | None = None) -> Database:
    """Open the database at `url` (``sqlite:///file``, ``sqlite://`` in memory, ``postgresql://…``) and create
    no tables.

    `write_lock` serialises SQLite's writers within the process; the default suits threads, Nameko services
    pass a green one.
    """
    parsed = make_url(url)
    if parsed.get_backend_name() == "sqlite":
        return Database(_sqlite_engine(parsed), write_lock or threading.Lock())
    if parsed.get_backend_name() == "postgresql":
        return Database(_postgresql_engine(parsed), nullcontext())
    raise ValueError(f"neither SQLite nor PostgreSQL: {parsed.render_as_string()}")


def _sqlite_engine(url: URL) -> Engine:
    arguments = {"timeout": SQLITE_BUSY_TIMEOUT_MS / 1000, "check_same_thread": False}
    if url.database in (None, "", ":memory:"):
        engine = create_engine(url, connect_args=arguments, poolclass=StaticPool)
    else:
        Path(str(url.database)).parent.mkdir(parents=True, exist_ok=True)
        engine = create_engine(url, connect_args=arguments, pool_size=POOL_SIZE)
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


def _postgresql_engine(url: URL) -> Engine:
    options = (
        f"-c statement_timeout={STATEMENT_TIMEOUT_MS} -c lock_timeout={STATEMENT_TIMEOUT_MS} -c timezone=UTC"
    )
    return create_engine(
        url.set(drivername="postgresql+psycopg"),
        connect_args={"options": options, "connect_timeout": 5},
        pool_size=POOL_SIZE,
        pool_pre_ping=True,
    )
