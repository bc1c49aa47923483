"""Readings in a real database: one row a run, and each reading by itself again."""

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from datetime import timedelta
from threading import Barrier

import pytest
from sqlalchemy import text
from sqlmodel import select

from hireling.rental.batch import batch_wire
from hireling.rental.reading import SignedReading, reading_hash
from hireling.rental.typed_data import to_hex
from services.chassis.database import DATABASE_BUSY, open_database
from services.chassis.migrations import drift_of
from services.messages.errors import Unavailable
from services.metering.models import AcceptedCeiling, MeteringTable, ReadingRun
from services.metering.store import Store
from tests.builders import NOW, a_reading_chain
from tests.integration.metering.books import LATER, Books, Clerk, acked

HONEST = a_reading_chain(230)
WIRES = [signed.model_dump(mode="json") for signed in HONEST]


def take_batches(clerk: Clerk, *batches: Sequence[SignedReading]) -> None:
    """Record signed batches in one transaction."""
    wires = [batch_wire([signed.model_dump_json() for signed in batch]).encode() for batch in batches]
    clerk.record([clerk.books.message(wire, kind="batches") for wire in wires])


def rows(books: Books) -> list[ReadingRun]:
    """Return the rows of readings, ascending."""
    with books.database.snapshot() as session:
        return sorted(session.exec(select(ReadingRun)).all(), key=lambda row: row.first_seq)


class TestRuns:
    def test_hold_a_signed_batch_in_one_row(self, clerk: Clerk, books: Books) -> None:
        take_batches(clerk, HONEST[:50])
        [row] = rows(books)
        assert (row.first_seq, row.last_seq, row.received_at) == (0, 49, LATER)
        assert row.hashes == b"".join(reading_hash(signed.reading) for signed in HONEST[:50])

    def test_hold_single_readings_of_one_transaction_together(self, clerk: Clerk, books: Books) -> None:
        clerk.take(HONEST)
        assert [(row.first_seq, row.last_seq) for row in rows(books)] == [(0, 99), (100, 199), (200, 229)]

    def test_hold_no_two_days(self, clerk: Clerk, books: Books) -> None:
        before, after = LATER.replace(hour=23, minute=59), LATER.replace(hour=0) + timedelta(days=1)
        messages = [books.message(signed, at=before) for signed in HONEST[:3]]
        messages += [books.message(signed, at=after) for signed in HONEST[3:5]]
        clerk.record(messages)
        assert [(row.last_seq, row.received_at) for row in rows(books)] == [(2, before), (4, after)]

    def test_give_back_any_page_of_readings(self, clerk: Clerk, books: Books) -> None:
        take_batches(clerk, HONEST[:50], HONEST[50:57])
        clerk.take(HONEST[57:58])
        take_batches(clerk, HONEST[58:158], HONEST[158:])
        with books.database.snapshot() as session:
            store = Store(session)
            for after in (-1, 0, 48, 49, 50, 56, 57, 58, 156, 157, 200, 229, 2**63 - 1):
                for limit in (1, 2, 50, 101, 1_000):
                    page = store.readings(books.rental_id, after=after, limit=limit)
                    assert page == WIRES[after + 1 : after + 1 + limit]

    def test_give_back_each_reading_and_its_hash(self, clerk: Clerk, books: Books) -> None:
        take_batches(clerk, HONEST[:99], HONEST[99:199], HONEST[199:])
        numbers = {(books.rental_id, seq) for seq in range(240)}
        with books.database.snapshot() as session:
            store = Store(session)
            hashes = {signed.reading.seq: to_hex(reading_hash(signed.reading)) for signed in HONEST}
            assert store.reading_hashes(numbers) == {books.rental_id: hashes}
            for seq in (0, 98, 99, 150, 198, 199, 229):
                assert store.accepted_reading(books.rental_id, seq) == WIRES[seq]
            with pytest.raises(LookupError):
                store.accepted_reading(books.rental_id, 230)

    def test_are_found_however_late_and_early_they_arrived(self, clerk: Clerk, books: Books) -> None:
        early, late = NOW - timedelta(days=1_200), NOW + timedelta(days=400)
        clerk.record([books.message(HONEST[0], at=early), books.message(HONEST[2], at=late)])
        clerk.record([books.message(HONEST[1], at=NOW)])
        assert books.accepted() == WIRES[:3]


class TestNumbers:
    def test_are_stored_once_where_two_ingests_race(self, books: Books, database_url: str) -> None:
        starting = Barrier(2)

        def race() -> list[int]:
            with closing(open_database(database_url)) as database:
                clerk, answered = Clerk(Books(database)), []
                for begin in range(0, len(HONEST), 10):
                    opened = clerk.opened(clerk.books.messages(HONEST[begin : begin + 10]))
                    starting.wait(timeout=60)
                    answered += acked(clerk.put_down(opened))
                return answered

        with ThreadPoolExecutor(2) as threads:
            both = [each.result(timeout=120) for each in [threads.submit(race), threads.submit(race)]]
        assert both == [list(range(9, 230, 10))] * 2
        assert books.accepted() == WIRES
        assert books.told() == WIRES
        assert sum(row.last_seq - row.first_seq + 1 for row in rows(books)) == len(HONEST)


def test_the_models_match_the_migrations(books: Books) -> None:
    assert drift_of(books.database, MeteringTable.metadata) == []


@pytest.mark.stack
@pytest.mark.parametrize("database_url", ["postgresql"], indirect=True)
def test_a_day_without_a_partition_refuses_nothing(clerk: Clerk, books: Books) -> None:
    clerk.take(HONEST[:5])
    with books.database.snapshot() as session:
        assert session.execute(text("SELECT count(*) FROM reading_run_other")).scalar_one() == 1
    assert books.accepted() == WIRES[:5]


class TestCeilings:
    def test_of_which_another_copy_took_the_number_are_to_be_taken_again(self, books: Books) -> None:
        with books.database.unit_of_work() as session:
            Store(session).add_ceiling(a_ceiling_row(books))
        with (
            pytest.raises(Unavailable, match=DATABASE_BUSY),
            books.database.unit_of_work() as session,
        ):
            Store(session).add_ceiling(a_ceiling_row(books))


def a_ceiling_row(books: Books) -> AcceptedCeiling:
    return AcceptedCeiling(rental_id=books.rental_id, number=0, signed={}, received_at=NOW)
