"""Units of work on PostgreSQL."""

from contextlib import closing

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
