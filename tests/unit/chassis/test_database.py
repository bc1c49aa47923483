"""services.chassis.database: one transaction per unit of work."""

import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import text
from sqlmodel import Session

from services.chassis.database import Database, effects_so_far, open_database
from services.chassis.rpc import RpcClient
from services.messages.errors import Unavailable


@pytest.fixture
def database(tmp_path: Path) -> Iterator[Database]:
    """A SQLite file with one table of numbers."""
    opened = open_database(f"sqlite:///{tmp_path}/rooms/numbers.db")
    with opened.unit_of_work() as session:
        session.execute(text("CREATE TABLE number (value INTEGER NOT NULL)"))
        session.execute(text("CREATE TABLE digit (number INTEGER NOT NULL REFERENCES number (value))"))
    yield opened
    opened.close()


def add(session: Session, value: int) -> None:
    """Add a number."""
    session.execute(text("INSERT INTO number VALUES (:value)"), {"value": value})


def numbers(database: Database) -> list[int]:
    """Return all numbers."""
    with database.snapshot() as session:
        return list(session.execute(text("SELECT value FROM number ORDER BY value")).scalars())


class TestUnitOfWork:
    """A write transaction."""

    def test_commits_when_the_block_ends(self, database: Database) -> None:
        with database.unit_of_work() as session:
            add(session, 1)
        assert numbers(database) == [1]

    def test_rolls_back_when_the_block_raises(self, database: Database) -> None:
        def add_and_fall(session: Session) -> None:
            add(session, 1)
            raise ZeroDivisionError

        with pytest.raises(ZeroDivisionError):
            database.work(add_and_fall)
        assert numbers(database) == []

    def test_goes_on_after_one_that_raised(self, database: Database) -> None:
        with pytest.raises(ZeroDivisionError), database.unit_of_work():
            raise ZeroDivisionError
        with database.unit_of_work() as session:
            add(session, 2)
        assert numbers(database) == [2]

    def test_refuses_another_inside(self, database: Database) -> None:
        with database.unit_of_work() as session:
            with pytest.raises(RuntimeError, match="inside a unit of work"), database.unit_of_work():
                pass
            add(session, 1)
        assert numbers(database) == [1]

    def test_refuses_calls_inside(self, database: Database) -> None:
        client = RpcClient("hireling-memory://refuses-calls-inside")
        with database.unit_of_work(), pytest.raises(RuntimeError, match="inside a unit of work"):
            client.call("listing", "get_device", timeout=1.0)

    def test_counts_as_an_effect_only_when_committed(self, database: Database) -> None:
        before = effects_so_far()
        with pytest.raises(ZeroDivisionError), database.unit_of_work():
            raise ZeroDivisionError
        assert effects_so_far() == before
        with database.unit_of_work() as session:
            add(session, 1)
        assert effects_so_far() == before + 1

    def test_lets_threads_write_one_after_the_other(self, database: Database) -> None:
        def raise_maximum() -> None:
            with database.unit_of_work() as session:
                highest = session.execute(text("SELECT coalesce(max(value), 0) FROM number")).scalar_one()
                add(session, highest + 1)

        threads = [threading.Thread(target=raise_maximum) for _ in range(20)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(timeout=30)
        assert numbers(database) == list(range(1, 21))

    def test_is_durable_and_checks_references(self, database: Database) -> None:
        with database.unit_of_work() as session:
            pragmas = {
                name: session.execute(text(f"PRAGMA {name}")).scalar_one()
                for name in ("journal_mode", "synchronous", "foreign_keys", "busy_timeout")
            }
        assert pragmas == {"journal_mode": "wal", "synchronous": 2, "foreign_keys": 1, "busy_timeout": 10_000}


class TestWork:
    """A task run in a unit of work."""

    def test_runs_again_when_another_came_between(self, database: Database) -> None:
        tries: list[Session] = []

        def task(session: Session) -> int:
            add(session, len(tries))
            tries.append(session)
            if len(tries) < 3:
                raise Unavailable("database_busy", "another transaction came between")
            return len(tries)

        assert database.work(task) == 3
        assert numbers(database) == [2]

    def test_does_not_run_again_for_any_other_reason(self, database: Database) -> None:
        tries = []

        def task(session: Session) -> None:
            tries.append(session)
            raise Unavailable("chain_unreachable", "no chain")

        with pytest.raises(Unavailable, match="chain_unreachable"):
            database.work(task)
        assert len(tries) == 1


class TestStroke:
    """One statement that writes."""

    def test_is_there_for_whoever_comes_next(self, database: Database) -> None:
        before = effects_so_far()
        with database.stroke() as connection:
            connection.execute(text("INSERT INTO number VALUES (1)"))
        assert numbers(database) == [1]
        assert effects_so_far() > before

    def test_refuses_to_be_inside_a_unit_of_work(self, database: Database) -> None:
        with (
            database.unit_of_work(),
            pytest.raises(RuntimeError, match="inside a unit of work"),
            database.stroke(),
        ):
            pass


class TestSnapshot:
    """A session that reads."""

    def test_never_writes(self, database: Database) -> None:
        with database.snapshot() as session:
            add(session, 1)
        assert numbers(database) == []

    def test_sees_one_state_while_another_writes(self, database: Database) -> None:
        with database.snapshot() as session:
            assert session.execute(text("SELECT count(*) FROM number")).scalar_one() == 0
            with database.unit_of_work() as writing:
                add(writing, 1)
            assert session.execute(text("SELECT count(*) FROM number")).scalar_one() == 0


def test_refuses_other_kinds_of_database_and_hides_the_password() -> None:
    with pytest.raises(ValueError, match="neither SQLite nor PostgreSQL") as caught:
        open_database("mysql://hireling:hunter2@db/listing")
    assert "hunter2" not in str(caught.value)


def test_a_database_that_is_locked_for_too_long_is_busy(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("services.chassis.engines.SQLITE_BUSY_TIMEOUT_MS", 10)
    url = f"sqlite:///{tmp_path}/numbers.db"
    ours, theirs = open_database(url), open_database(url)
    with theirs.engine.connect() as connection:
        connection.connection.driver_connection.execute("BEGIN IMMEDIATE")  # type: ignore[union-attr]
        with pytest.raises(Unavailable, match="database_busy"), ours.unit_of_work() as session:
            session.execute(text("SELECT 1"))
    ours.close()
    theirs.close()
