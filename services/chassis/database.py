"""One database per service: SQLite embedded, PostgreSQL on the stack, the same rows and the same rules.

No framework in here: the asyncio ingest opens metering's database by the same door as the eventlet services.
"""

import random
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from contextvars import ContextVar
from typing import Any, TypeVar

from sqlalchemy import Engine, func, select
from sqlalchemy.engine import Connection, make_url
from sqlalchemy.exc import DBAPIError, IntegrityError, OperationalError
from sqlmodel import Session

from services.chassis.counts import DATABASE_ERRORS
from services.chassis.engines import postgresql_engine, sqlite_engine
from services.messages.errors import OutcomeUnknown, Unavailable

# What is raised while the database cannot be reached, is shutting down, is locked for too long, or broke off
# in the middle of a commit: for whoever writes what may be written again.
DATABASE_DOWN = (OperationalError, Unavailable, OutcomeUnknown)

DATABASE_BUSY = "database_busy"
# The disk under the database is full: nothing was written, and the same may be written once there is room.
DATABASE_FULL = "database_full"
BUSY_PAUSES_SECONDS = (0.02, 0.05, 0.1, 0.3, 1.0)

# The session's note that it added an event, for the relay to be woken after the commit.
EVENT_ADDED = "event_added"

# PostgreSQL's codes for a transaction that lost against another: serialization failure, deadlock, lock not
# available in time.
_LOST_RACE = frozenset({"40001", "40P01", "55P03"})
_DISK_FULL = "53100"

_inside_unit_of_work: ContextVar[bool] = ContextVar("inside_unit_of_work", default=False)
_effects: ContextVar[int] = ContextVar("effects", default=0)

Result = TypeVar("Result")


def inside_unit_of_work() -> bool:
    """Return whether the calling thread or greenlet has a unit of work open: call nothing remote there."""
    return _inside_unit_of_work.get()


def effects_so_far() -> int:
    """Return how often this thread or greenlet committed or called out: unchanged means safe to run again."""
    return _effects.get()


def note_effect() -> None:
    """Count something that this thread or greenlet did and cannot roll back."""
    _effects.set(_effects.get() + 1)


class Database:
    """A service's database; open it with `open_database`, once per process."""

    def __init__(self, engine: Engine, write_lock: AbstractContextManager[Any]) -> None:
        self.engine = engine
        # As if one after the other, on both: PostgreSQL's default would let two of them overwrite each other.
        self._serial = engine.execution_options(hireling_writes=True, **_isolation(engine, "SERIALIZABLE"))
        # Rows that another copy holds are skipped, which only works on what is committed now.
        self._queue = engine.execution_options(hireling_writes=True, **_isolation(engine, "READ COMMITTED"))
        self._frozen = engine.execution_options(**_isolation(engine, "REPEATABLE READ"))
        self._plain = engine.execution_options(**_isolation(engine, "AUTOCOMMIT"))
        self._at_once = self._plain.execution_options(hireling_writes=True)
        self._write_lock = write_lock
        self._listeners: list[Callable[[], None]] = []

    @contextmanager
    def unit_of_work(self) -> Iterator[Session]:
        """Open one write transaction: it commits when the block ends, and rolls back when the block raises.

        It runs as if alone. Raises Unavailable("database_busy") when another one came between and nothing was
        done: `rpc` methods and `on_event` handlers are then run again by the chassis, elsewhere use `work`.
        Raises Unavailable("database_full") with nothing written, Unavailable("database_unreachable"),
        OutcomeUnknown("commit_unknown") when the connection broke during the commit, and RuntimeError inside
        another unit of work, which would wait for itself for ever.
        """
        with self._transaction(self._serial) as session:
            yield session

    def work(self, task: Callable[[Session], Result]) -> Result:
        """Return what `task(session)` returns, run in a unit of work.

        It runs again a few times when the database was busy.
        """
        return _again_while_busy(self.unit_of_work, task)

    def work_on_locked(self, task: Callable[[Session], Result]) -> Result:
        """Return what `task(session)` returns, run as `queue_work` and again as `work`.

        For a task that locks a row first and then reads and changes only what belongs to that row: whoever
        else would change it waits for the lock, and neither has done its work in vain.
        """
        return _again_while_busy(self.queue_work, task)

    @contextmanager
    def queue_work(self) -> Iterator[Session]:
        """Open a write transaction that sees what others committed meanwhile.

        For taking rows off a queue, and for changing only what it has locked first: where the lock is the
        whole story, it needs no protection from what others do to other rows, and never has to run again.
        """
        with self._transaction(self._queue) as session:
            yield session

    @contextmanager
    def snapshot(self) -> Iterator[Session]:
        """Open a session that reads one consistent state and never writes.

        Whatever it changed is rolled back.
        """
        with _translated(), Session(self._frozen, expire_on_commit=False, autoflush=False) as session:
            yield session

    @contextmanager
    def looks(self) -> Iterator[Session]:
        """Open a session that reads, each statement what is committed by then, and never writes.

        Half as many ways to the server as a snapshot: for what agents ask again and again.
        """
        with _translated(), Session(self._plain, expire_on_commit=False, autoflush=False) as session:
            yield session

    @contextmanager
    def glance(self) -> Iterator[Connection]:
        """Open a connection for one statement that reads: by itself it sees one state, whole.

        It takes one way to the server where a snapshot takes three. PostgreSQL plans it for the very values
        that it is given: a word that everything has wants another way than one that nothing has.
        """
        with _translated(), self._plain.connect() as connection, _never_prepared(connection):
            yield connection

    @contextmanager
    def stroke(self) -> Iterator[Connection]:
        """Open a connection for one statement that writes: by itself it is a transaction.

        It takes one way to the server where a unit of work takes three. Raises what `queue_work` raises.
        """
        if _inside_unit_of_work.get():
            raise RuntimeError("a stroke inside a unit of work")
        with (
            self._write_lock,
            _translated(),
            self._at_once.begin() as connection,
            _translated(committing=True),
        ):
            yield connection
        note_effect()

    def on_event_added(self, listener: Callable[[], None]) -> None:
        """Call `listener` after every commit in this process that added an event to the outbox."""
        self._listeners.append(listener)

    def close(self) -> None:
        """Close every pooled connection."""
        self.engine.dispose()

    @contextmanager
    def _transaction(self, engine: Engine) -> Iterator[Session]:
        if _inside_unit_of_work.get():
            raise RuntimeError("a unit of work inside a unit of work")
        with self._write_lock:
            entered = _inside_unit_of_work.set(True)
            try:
                with _translated(), Session(engine, expire_on_commit=False) as session:
                    yield session
                    with _translated(committing=True):
                        _commit(session)
            finally:
                _inside_unit_of_work.reset(entered)
        note_effect()
        if session.info.get(EVENT_ADDED):
            for listener in self._listeners:
                listener()


def _again_while_busy(
    transaction: Callable[[], AbstractContextManager[Session]], task: Callable[[Session], Result]
) -> Result:
    for pause in BUSY_PAUSES_SECONDS:
        try:
            with transaction() as session:
                return task(session)
        except Unavailable as error:
            if error.code != DATABASE_BUSY:
                raise
            time.sleep(pause * random.random())
    with transaction() as session:
        return task(session)


def _commit(session: Session) -> None:
    """Commit; where that fails, what was added is as new as before.

    Without the rollback a row that was made before the task would be taken for one that is stored, and not be
    written when the task runs again.
    """
    try:
        session.commit()
    except DBAPIError:
        session.rollback()
        raise


@contextmanager
def _translated(*, committing: bool = False) -> Iterator[None]:
    """Raise the database's passing troubles as what they mean to a caller; anything else as it is."""
    try:
        yield
    except DBAPIError as error:
        reason = str(error.orig)
        if getattr(error.orig, "sqlstate", None) in _LOST_RACE or "database is locked" in reason:
            DATABASE_ERRORS.labels("busy").inc()
            raise Unavailable(DATABASE_BUSY, f"another transaction came between: {reason}") from error
        if getattr(error.orig, "sqlstate", None) == _DISK_FULL or "database or disk is full" in reason:
            raise Unavailable(DATABASE_FULL, f"the database's disk is full: {reason}") from error
        if not error.connection_invalidated and not _cannot_connect(error):
            DATABASE_ERRORS.labels("other").inc()
            raise
        DATABASE_ERRORS.labels("commit_unknown" if committing else "unreachable").inc()
        if committing:
            raise OutcomeUnknown("commit_unknown", f"connection lost while committing: {reason}") from error
        raise Unavailable("database_unreachable", f"no connection to the database: {reason}") from error


@contextmanager
def _never_prepared(connection: Connection) -> Iterator[None]:
    if connection.dialect.name != "postgresql":
        yield
        return
    driver: Any = connection.connection.driver_connection
    usual, driver.prepare_threshold = driver.prepare_threshold, None
    try:
        yield
    finally:
        driver.prepare_threshold = usual


@contextmanager
def as_if_alone() -> Iterator[None]:
    """Raise Unavailable("database_busy") where another copy just wrote what was looked for and not found.

    The unit of work then runs again, and finds it.
    """
    try:
        yield
    except IntegrityError as error:
        raise Unavailable(DATABASE_BUSY, f"another transaction came between: {error.orig}") from error


def _cannot_connect(error: DBAPIError) -> bool:
    if not isinstance(error, OperationalError) or not type(error.orig).__module__.startswith("psycopg"):
        return False
    # Without a code no server said anything; 08 is a broken connection, 57P a server that stops or starts.
    sqlstate = getattr(error.orig, "sqlstate", None)
    return sqlstate is None or sqlstate.startswith(("08", "57P"))


def _isolation(engine: Engine, level: str) -> dict[str, str]:
    return {"isolation_level": level} if engine.dialect.name == "postgresql" else {}


def try_lock(session: Session, number: int) -> bool:
    """Return whether this write transaction alone has the lock of this number until it ends.

    On SQLite it has them all: nobody else writes.
    """
    if session.get_bind().dialect.name != "postgresql":
        return True
    return bool(session.execute(select(func.pg_try_advisory_xact_lock(number))).scalar_one())


def open_database(url: str, *, write_lock: AbstractContextManager[Any] | None = None) -> Database:
    """Open the database at `url`, and create no tables.

    `url` is ``sqlite:///file``, ``sqlite://`` in memory, or ``postgresql://…``.

    `write_lock` serialises SQLite's writers within the process; the default suits threads, Nameko services
    pass a green one.
    """
    parsed = make_url(url)
    if parsed.get_backend_name() == "sqlite":
        return Database(sqlite_engine(parsed), write_lock or threading.Lock())
    if parsed.get_backend_name() == "postgresql":
        return Database(postgresql_engine(parsed), nullcontext())
    raise ValueError(f"neither SQLite nor PostgreSQL: {parsed.render_as_string()}")
