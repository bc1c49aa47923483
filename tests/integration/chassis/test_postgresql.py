"""Units of work on PostgreSQL."""

import os
import socket
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from datetime import UTC, datetime, timedelta
from functools import partial
from threading import Thread

import psycopg
import pytest
from sqlalchemy import Column, MetaData, Table, Text, func, select, text
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import DeclarativeBase, MappedColumn, mapped_column
from sqlmodel import Session

from services.chassis import engines
from services.chassis.database import Database, open_database
from services.chassis.handled import forget_heard, note_rows
from services.chassis.rows import WORTH_A_COPY, insert_rows, update_rows
from services.chassis.tables import CHASSIS_METADATA, INBOX, UtcDateTime
from services.messages.errors import Unavailable
from tests import stack

pytestmark = pytest.mark.stack

NOW = datetime(2026, 11, 29, 12, 0, tzinfo=UTC)


def test_who_waits_too_long_for_a_lock_is_told_that_the_database_is_busy(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    # As they are to each other, only sooner.
    for name in ("STATEMENT_TIMEOUT_MS", "LOCK_TIMEOUT_MS"):
        monkeypatch.setattr(engines, name, getattr(engines, name) // 10)
    with stack.fresh_database("toy") as url, closing(open_database(url)) as database:
        with database.unit_of_work() as session:
            session.execute(text("CREATE TABLE number (value INTEGER NOT NULL)"))
        with database.engine.connect() as other:
            other.execute(text("LOCK TABLE number"))
            with pytest.raises(Unavailable, match="database_busy"), database.unit_of_work() as session:
                session.execute(text("INSERT INTO number VALUES (1)"))


class Mapped(DeclarativeBase):
    """What these tests keep as objects."""


class Kept(Mapped):
    """A row of an object."""

    __tablename__ = "kept"

    name: MappedColumn[str] = mapped_column(primary_key=True)


def test_what_was_made_before_a_lost_race_is_written_when_it_runs_again() -> None:
    with stack.fresh_database("toy") as url, closing(open_database(url)) as database:
        Mapped.metadata.create_all(database.engine)
        runs = []
        made_before = Kept(name="mine")

        def keep(row: Kept, session: Session) -> None:
            session.execute(select(func.count()).select_from(Kept)).scalar_one()
            session.add(row)
            session.flush()

        def keep_mine(session: Session) -> None:
            runs.append(1)
            keep(made_before, session)
            if len(runs) == 1:
                # Both have read before either commits: who commits last has lost, and learns it by that.
                other = Thread(target=database.work, args=[partial(keep, Kept(name="another's"))])
                other.start()
                other.join()

        database.work(keep_mine)

        assert len(runs) > 1
        with database.snapshot() as session:
            assert set(session.execute(select(Kept.name)).scalars()) == {"mine", "another's"}


def test_a_server_that_vanished_is_given_up_within_half_a_minute() -> None:
    with (
        stack.fresh_database("toy") as url,
        closing(open_database(url)) as database,
        database.engine.connect() as connection,
    ):
        driver = connection.connection.driver_connection
        assert isinstance(driver, psycopg.Connection)
        with socket.socket(fileno=os.dup(driver.fileno())) as tcp:
            options = (socket.TCP_KEEPIDLE, socket.TCP_KEEPINTVL, socket.TCP_KEEPCNT, socket.TCP_USER_TIMEOUT)
            idle, interval, count, unacknowledged_ms = (
                tcp.getsockopt(socket.IPPROTO_TCP, option) for option in options
            )
    assert 0 < idle + interval * count <= 30
    assert 0 < unacknowledged_ms <= 30_000


def test_a_connection_that_broke_while_it_rested_is_replaced(monkeypatch: pytest.MonkeyPatch) -> None:
    with stack.fresh_database("toy") as url, closing(open_database(url)) as database:
        end_all_connections(database, url)
        monkeypatch.setattr(engines, "ASK_AFTER_REST_SECONDS", 0.0)
        assert value_of(database, "SELECT 1") == 1


def test_a_connection_that_broke_just_after_its_use_costs_one_unit_of_work() -> None:
    with stack.fresh_database("toy") as url, closing(open_database(url)) as database:
        end_all_connections(database, url)
        with pytest.raises(Unavailable, match="database_unreachable"):
            value_of(database, "SELECT 1")
        assert value_of(database, "SELECT 1") == 1


def test_greenlets_wait_for_the_server_beside_each_other() -> None:
    with stack.fresh_database("toy") as url:
        program = f"""
import services.chassis.green, eventlet
from sqlalchemy import Column, MetaData, Table, Text, select, text
from sqlalchemy.exc import IntegrityError
from services.chassis.database import Database, open_database

database, begun = open_database({url!r}), []

def sleep():
    with database.snapshot() as session:
        begun.append(1)
        session.execute(text("SELECT pg_sleep(1)"))
        # The other one began while this one waited.
        assert len(begun) == 2

for each in [eventlet.spawn(sleep), eventlet.spawn(sleep)]:
    each.wait()
"""
        subprocess.run([sys.executable, "-c", program], check=True, timeout=60)


def test_greenlets_write_many_rows_in_one_statement() -> None:
    program = """
import sys
import services.chassis.green
from sqlalchemy import Column, MetaData, Table, Text, select, text
from sqlalchemy.exc import IntegrityError
from services.chassis.database import open_database

rows = [{"value": "x" * 1_000, "number": number} for number in range(5_000)]
database = open_database(sys.argv[1])
with database.unit_of_work() as session:
    session.execute(text("CREATE TABLE kept (number INTEGER NOT NULL, value TEXT NOT NULL)"))
    session.execute(text("INSERT INTO kept VALUES (:number, :value)"), rows)
with database.snapshot() as session:
    assert session.execute(text("SELECT count(*) FROM kept")).scalar_one() == len(rows)
"""
    with stack.fresh_database("toy") as url:
        subprocess.run([sys.executable, "-c", program, url], check=True, timeout=60)


def value_of(database: Database, query: str) -> object:
    with database.snapshot() as session:
        return session.execute(text(query)).scalar_one()


def end_all_connections(database: Database, url: str) -> None:
    """Have the server end the pooled connection of this database, which rests now."""
    pid = value_of(database, "SELECT pg_backend_pid()")
    with closing(open_database(url)) as other:
        assert value_of(other, f"SELECT pg_terminate_backend({pid}, 5000)") is True


def test_rows_are_inserted_and_changed_together() -> None:
    with stack.fresh_database("toy") as url, closing(open_database(url)) as database:
        table = Table("thing", MetaData(), Column("name", Text, primary_key=True), Column("at", UtcDateTime))
        table.create(database.engine)
        number = 2 * WORTH_A_COPY
        with database.unit_of_work() as session:
            insert_rows(session, table, [{"name": str(each), "at": NOW} for each in range(number)])
            update_rows(session, table, [{"name": str(each), "at": None} for each in range(1, number)])
        with database.unit_of_work() as session:
            update_rows(session, table, [{"name": "1", "at": NOW}])
            insert_rows(session, table, [{"name": "last", "at": NOW}])
        with database.snapshot() as session:
            rows = session.connection().execute(select(table)).mappings()
            assert {row["name"]: row["at"] for row in rows} == {
                **{str(each): None for each in range(number)},
                "0": NOW,
                "1": NOW,
                "last": NOW,
            }


def test_a_row_that_is_there_already_is_an_integrity_error_however_it_is_inserted() -> None:
    with stack.fresh_database("toy") as url, closing(open_database(url)) as database:
        table = Table("thing", MetaData(), Column("name", Text, primary_key=True))
        table.create(database.engine)
        for number in (2, 2 * WORTH_A_COPY):
            with pytest.raises(IntegrityError), database.unit_of_work() as session:
                insert_rows(session, table, [{"name": "same"}] * number)


def test_two_copies_forget_side_by_side() -> None:
    with stack.fresh_database("toy") as url, closing(open_database(url)) as database:
        with database.unit_of_work() as session:
            CHASSIS_METADATA.create_all(session.connection())
            note_rows(
                session, [{"handler": "h", "key": str(number), "handled_at": NOW} for number in range(10)]
            )
        later = NOW + timedelta(days=31)

        def beside() -> int:
            with closing(open_database(url)) as copy, copy.queue_work() as session:
                return forget_heard(session, before=later, limit=10)

        # One has deleted four and not committed; the other waits for nothing.
        with database.queue_work() as session, ThreadPoolExecutor(max_workers=1) as pool:
            assert forget_heard(session, before=later, limit=4) == 4
            assert pool.submit(beside).result(timeout=60) == 6
        with database.snapshot() as session:
            assert session.execute(select(func.count()).select_from(INBOX)).scalar_one() == 0
