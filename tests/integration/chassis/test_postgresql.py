"""Units of work on PostgreSQL."""

import os
import socket
from contextlib import closing

import psycopg
import pytest
from sqlalchemy import text

from services.chassis import database as chassis
from services.chassis.database import open_database
from services.messages.errors import Unavailable
from tests import stack

pytestmark = pytest.mark.stack


def test_who_waits_too_long_for_a_lock_is_told_that_the_database_is_busy(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    # As they are to each other, only sooner.
    for name in ("STATEMENT_TIMEOUT_MS", "LOCK_TIMEOUT_MS"):
        monkeypatch.setattr(chassis, name, getattr(chassis, name) // 10)
    with stack.fresh_database("toy") as url, closing(open_database(url)) as database:
        with database.unit_of_work() as session:
            session.execute(text("CREATE TABLE number (value INTEGER NOT NULL)"))
        with database.engine.connect() as other:
            other.execute(text("LOCK TABLE number"))
            with pytest.raises(Unavailable, match="database_busy"), database.unit_of_work() as session:
                session.execute(text("INSERT INTO number VALUES (1)"))


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
