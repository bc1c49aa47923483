"""Databases of older versions, with what was in them, brought to the newest schema and back."""

import json
from collections.abc import Iterator
from contextlib import ExitStack, closing
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from alembic import command
from alembic.config import Config
from sqlalchemy import text

import services.metering
from hireling.rental.reading import measured, reading_hash
from hireling.rental.typed_data import to_hex
from services.chassis.database import Database, open_database
from services.metering.runs import minutes_of
from services.metering.store import Store
from services.metering.taking import rental_row
from tests import stack
from tests.builders import NOW, a_reading_chain, an_offer, signed_agreement
from tests.integration.metering.books import Books
from tests.integration.metering.test_store import rows

HONEST = a_reading_chain(250)
OTHER = signed_agreement(offer=an_offer(quote_id="quote-2"))
MIDNIGHT_AFTER = 130
ADDED_SINCE = {"oldest_at", "newest_at", "finished_at", "kept_from"}


@pytest.fixture(params=["sqlite", pytest.param("postgresql", marks=pytest.mark.stack)])
def empty(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Database]:
    """Return a database without any table."""
    with ExitStack() as cleanup:
        url = f"sqlite:///{tmp_path}/metering.db"
        if request.param == "postgresql":
            url = cleanup.enter_context(stack.fresh_database("metering"))
        yield cleanup.enter_context(closing(open_database(url)))


def migrations(database: Database) -> Config:
    """Return what Alembic needs to know of metering's migrations on this database."""
    config = Config()
    folder = Path(services.metering.__file__).parent / "migrations"
    config.set_main_option("script_location", str(folder))
    config.set_main_option("path_separator", "os")
    config.attributes["hireling_database"] = database
    return config


def insert(database: Database, table: str, *written: dict[str, Any]) -> None:
    """Insert rows as an older version did, whose models are no more."""
    names = ", ".join(written[0])
    values = ", ".join(f":{name}" for name in written[0])
    with database.unit_of_work() as session:
        statement = text(f"INSERT INTO {table} ({names}) VALUES ({values})")  # noqa: S608 - our own names
        session.execute(statement, list(written))


def old_rental(books: Books) -> dict[str, Any]:
    """Return a rental's row as revision 0002 had it."""
    row = rental_row(books.signed, now=NOW).model_dump(exclude=ADDED_SINCE)
    return {**row, "counter_caps": "[3000000, 1000]", "agreed_at": stored(NOW)}


def stored(moment: Any) -> str:
    """Return a moment as both databases take it."""
    return str(moment.strftime("%Y-%m-%d %H:%M:%S.%f+00:00"))


def old_readings(books: Books) -> list[dict[str, Any]]:
    """Return readings' rows as revision 0002 had them: the first before midnight, the others after."""
    return [
        {
            "rental_id": books.rental_id,
            "seq": signed.reading.seq,
            "hash": to_hex(reading_hash(signed.reading)),
            "signed": signed.model_dump_json(),
            "received_at": stored(NOW + timedelta(days=signed.reading.seq > MIDNIGHT_AFTER)),
        }
        for signed in HONEST
    ]


@pytest.fixture
def old_books(empty: Database) -> Books:
    """Return the books of a database at revision 0002, with readings, some of them under a root."""
    command.upgrade(migrations(empty), "0002")
    books, idle = Books(empty), Books(empty, OTHER)
    insert(empty, "rental", {**old_rental(books), "next_seq": len(HONEST)}, old_rental(idle))
    insert(empty, "reading", *old_readings(books))
    day = {"day": 21915, "devices": 1, "readings": 121, "closed_at": stored(NOW)}
    insert(empty, "closed_day", day, {**day, "day": 21916, "readings": 0})
    span = {"rental_id": books.rental_id, "day": 21915, "device": books.device, "first_seq": 0}
    # What was written after its day was closed belongs to the next: there the rows are parted too.
    insert(
        empty,
        "day_span",
        {**span, "last_seq": 119},
        {**span, "day": 21916, "first_seq": 120, "last_seq": 249},
    )
    return books


class TestRunsOfReadings:
    def test_hold_what_was_stored_reading_by_reading(self, old_books: Books) -> None:
        command.upgrade(migrations(old_books.database), "head")
        assert old_books.accepted() == [signed.model_dump(mode="json") for signed in HONEST]
        found = rows(old_books)
        assert [(row.first_seq, row.last_seq) for row in found] == [
            (0, 99),
            (100, 119),
            (120, 130),
            (131, 230),
            (231, 249),
        ]
        for row in found:
            readings = [signed.reading for signed in HONEST[row.first_seq : row.last_seq + 1]]
            assert row.hashes == b"".join(map(reading_hash, readings))
            as_new = minutes_of(
                list(map(measured, readings)), start_at=int(NOW.timestamp()), received_at=row.received_at
            )
            assert row.minutes == as_new

    def test_leave_each_rental_knowing_when_its_readings_arrived(self, old_books: Books) -> None:
        command.upgrade(migrations(old_books.database), "head")
        idle = Books(old_books.database, OTHER)
        with old_books.database.snapshot() as session:
            found = Store(session).rentals([old_books.rental_id, idle.rental_id])
        arrivals = {each.rental_id: (each.oldest_at, each.newest_at) for each in found.values()}
        assert arrivals == {
            old_books.rental_id: (NOW, NOW + timedelta(days=1)),
            idle.rental_id: (NOW, NOW),
        }

    def test_can_be_taken_apart_again(self, old_books: Books) -> None:
        command.upgrade(migrations(old_books.database), "0003")
        command.downgrade(migrations(old_books.database), "0002")
        query = text("SELECT seq, hash, CAST(signed AS text) FROM reading ORDER BY seq")
        with old_books.database.snapshot() as session:
            again = [(seq, hashed, json.loads(signed)) for seq, hashed, signed in session.execute(query)]
        assert again == [
            (row["seq"], row["hash"], json.loads(row["signed"])) for row in old_readings(old_books)
        ]

    @pytest.mark.stack
    @pytest.mark.parametrize("empty", ["postgresql"], indirect=True)
    def test_are_kept_apart_by_day(self, old_books: Books) -> None:
        command.upgrade(migrations(old_books.database), "head")
        query = text("SELECT tableoid::regclass::text, count(*) FROM reading_run GROUP BY 1 ORDER BY 1")
        with old_books.database.snapshot() as session:
            assert [tuple(row) for row in session.execute(query)] == [
                ("reading_run_20300101", 3),
                ("reading_run_20300102", 2),
            ]
