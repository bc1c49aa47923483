"""Partitions made in time or too late, and readings that go when nobody can need them any more."""

import json
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import func, select, text

from services.chassis.database import open_database
from services.chassis.forgetting import KeepingSettings, forget_events
from services.chassis.tables import OUTBOX
from services.messages.errors import Conflict
from services.messages.metering import SeriesQuery
from services.metering.charting import roll_up, series
from services.metering.day_store import DayStore
from services.metering.downlink import notice
from services.metering.downlink_store import mark_published
from services.metering.models import Downlink, ReadingRun, RefusalRow
from services.metering.proving import keep_announcement
from services.metering.store import Store
from services.metering.upkeep import check_kept, forget, let_go, make_partitions
from services.metering.upkeep_store import UpkeepStore
from services.metering.usage_store import UsageStore
from tests.builders import NOW, a_reading_chain, an_offer, signed_agreement
from tests.integration.metering.books import Books, Clerk, codes
from tests.integration.metering.test_closing import (
    DAY,
    EVENING,
    MORNING,
    announced,
    arrive,
    close,
    days,
    proof,
)

HONEST = a_reading_chain(60)
WIRES = [signed.model_dump(mode="json") for signed in HONEST]
OTHER = signed_agreement(offer=an_offer(quote_id="quote-2"))
KEEP = timedelta(days=30)
OVER_AT = NOW + timedelta(days=3)
LONG_AFTER = OVER_AT + KEEP
TODAY = NOW.date()
TOMORROW = TODAY + timedelta(days=1)


def drop(books: Books, *, now: Any = LONG_AFTER, keep: timedelta | None = KEEP) -> list[Any]:
    """Let go of what is not kept at this moment."""
    gone = let_go(books.database, now=now, keep=keep, pause=lambda: None)
    # Empty partitions of other days go too.
    return [day for day in gone if day in (TODAY, TOMORROW)]


def finish(books: Books) -> None:
    """Have the rental over for good."""
    with books.database.unit_of_work() as session:
        Store(session).finish([books.rental_id], now=OVER_AT)


def anchor(books: Books, *, day: int = DAY) -> None:
    """Have a closed day's root on the chain."""
    [event] = [event for event in books.events("day_closed") if event["day"] == day]
    with books.database.unit_of_work() as session:
        keep_announcement(DayStore(session), announced(event["root"], day=day, block=7))


def settle(books: Books, *later: int) -> None:
    """Have everything done with a rental's readings that has to be before they may go."""
    for day in (DAY, *later):
        close(books, day=day)
        anchor(books, day=day)
    roll_up(books.database, pause=lambda: None)
    finish(books)


def count(books: Books, table: Any) -> int:
    """Return how many rows a table has."""
    with books.database.snapshot() as session:
        return int(session.execute(select(func.count()).select_from(table)).scalar_one())


def minutes(books: Books, *, step: int = 60) -> list[Any]:
    """Return the rental's use over time."""
    begin = int(NOW.timestamp())
    with books.database.snapshot() as session:
        store = UsageStore(session)
        query = SeriesQuery(begin=begin, end=begin + 3_600, step=step)
        items: list[Any] = series(store, store.rental(books.rental_id), query)["items"]
        return items


@pytest.mark.stack
@pytest.mark.parametrize("database_url", ["postgresql"], indirect=True)
class TestPartitions:
    def partitions(self, books: Books) -> list[Any]:
        """Return the days from NOW on that have a partition."""
        with books.database.snapshot() as session:
            return [day for day in UpkeepStore(session).partitions() if day >= TODAY]

    def rows_of(self, books: Books, table: str) -> int:
        """Return how many rows a partition has."""
        return count(books, text(table))

    def test_are_made_a_week_ahead_and_once(self, books: Books) -> None:
        week = [TODAY + timedelta(days=number) for number in range(8)]
        assert make_partitions(books.database, now=NOW) == week
        assert self.partitions(books) == week
        assert make_partitions(books.database, now=NOW) == []
        assert make_partitions(books.database, now=MORNING) == [TODAY + timedelta(days=8)]

    def test_take_what_arrives_on_their_day(self, clerk: Clerk, books: Books) -> None:
        make_partitions(books.database, now=NOW)
        arrive(clerk, HONEST[:3], at=EVENING)
        arrive(clerk, HONEST[3:], at=MORNING)
        assert self.rows_of(books, "reading_run_20300101") == 1
        assert self.rows_of(books, "reading_run_20300102") == 1
        assert books.accepted() == WIRES

    def test_take_over_what_came_before_they_were_made(self, clerk: Clerk, books: Books) -> None:
        arrive(clerk, HONEST[:3], at=EVENING)
        arrive(clerk, HONEST[3:], at=MORNING + timedelta(days=90))
        assert self.rows_of(books, "reading_run_other") == 2
        make_partitions(books.database, now=NOW)
        assert self.rows_of(books, "reading_run_other") == 0
        assert self.rows_of(books, "reading_run_20300101") == 1
        assert self.rows_of(books, "reading_run_20300402") == 1
        assert books.accepted() == WIRES

    def test_are_made_by_one_process_at_a_time(self, books: Books) -> None:
        with books.database.queue_work() as session:
            assert UpkeepStore(session).try_lock()
            with ThreadPoolExecutor(1) as other:
                made = other.submit(make_partitions, books.database, now=NOW).result(timeout=60)
        assert made == []

    def test_are_made_while_readings_arrive(self, books: Books, database_url: str) -> None:
        readings = a_reading_chain(300)

        def ingest() -> None:
            with closing(open_database(database_url)) as database:
                clerk = Clerk(Books(database))
                for begin in range(0, 300, 5):
                    arrive(clerk, readings[begin : begin + 5], at=EVENING)

        with ThreadPoolExecutor(1) as other:
            arriving = other.submit(ingest)
            while not books.numbers():
                assert not arriving.done() or arriving.result() is None
            make_partitions(books.database, now=NOW)
            arriving.result(timeout=120)
        assert books.accepted() == [signed.model_dump(mode="json") for signed in readings]
        assert self.rows_of(books, "reading_run_other") == 0


class TestLettingGo:
    @pytest.fixture(autouse=True)
    def two_days(self, clerk: Clerk, books: Books) -> None:
        """Have the first readings arrive on one day, the others on the next."""
        make_partitions(books.database, now=NOW)
        arrive(clerk, HONEST[:40], at=EVENING)
        arrive(clerk, HONEST[40:], at=MORNING)

    def test_takes_nothing_where_everything_is_kept(self, books: Books) -> None:
        settle(books, DAY + 1)
        assert drop(books, keep=None, now=LONG_AFTER + timedelta(days=9_999)) == []
        assert books.accepted() == WIRES

    def test_waits_for_all_that_needs_the_readings(self, books: Books) -> None:
        close(books, day=DAY + 1)
        anchor(books)
        roll_up(books.database, pause=lambda: None)
        assert drop(books) == []  # the rental is not over
        finish(books)
        assert drop(books) == []  # the next day of the rental is not on the chain
        anchor(books, day=DAY + 1)
        assert drop(books, now=LONG_AFTER - timedelta(seconds=1)) == []
        assert drop(books) == [TODAY, TOMORROW]
        assert count(books, ReadingRun) == 0

    def test_waits_for_the_roots(self, books: Books) -> None:
        close(books)
        anchor(books)
        roll_up(books.database, pause=lambda: None)
        finish(books)
        assert drop(books) == []

    def test_waits_for_minutes_and_hours(self, books: Books) -> None:
        for day in (DAY, DAY + 1):
            close(books, day=day)
            anchor(books, day=day)
        finish(books)
        assert drop(books) == []
        roll_up(books.database, pause=lambda: None)
        assert len(drop(books)) == 2

    def test_keeps_a_day_on_which_another_rental_measured(self, books: Books) -> None:
        other = Books(books.database, OTHER)
        other.agree()
        arrive(Clerk(other), a_reading_chain(3, signed=OTHER), at=EVENING)
        settle(books, DAY + 1)
        assert drop(books) == [TOMORROW]
        with books.database.snapshot() as session:
            assert len(Store(session).readings(other.rental_id, after=-1, limit=10)) == 3

    def test_leaves_minutes_roots_and_a_clear_word(self, clerk: Clerk, books: Books) -> None:
        settle(books, DAY + 1)
        before, roots = minutes(books), days(books)
        assert before[0]["readings"] == 60
        proof(books, 3)
        drop(books)
        assert (minutes(books), days(books)) == (before, roots)
        with pytest.raises(Conflict, match="readings_dropped"):
            proof(books, 3)
        with pytest.raises(Conflict, match="readings_dropped"):
            minutes(books, step=10)
        with books.database.snapshot() as session, pytest.raises(Conflict, match="kept from 60 on"):
            check_kept(Store(session).rental(books.rental_id), 0)
        late = clerk.record(books.messages(HONEST[:1]))
        assert (codes(late), late.early) == ([], [])
        assert len(Clerk(books).record(books.messages(HONEST[:1])).early) == 1

    def test_goes_on_where_it_was_killed(self, books: Books) -> None:
        settle(books, DAY + 1)

        def die() -> None:
            raise KeyboardInterrupt

        if books.database.engine.dialect.name == "sqlite":
            with pytest.raises(KeyboardInterrupt):
                let_go(books.database, now=LONG_AFTER, keep=KEEP, pause=die)
        drop(books)
        assert count(books, ReadingRun) == 0


class TestForgetting:
    def forget(self, books: Books, *, days: float) -> None:
        """Forget what is old so many days from NOW."""
        now = NOW + timedelta(days=days)
        forget(books.database, now=now, refusals=timedelta(days=90), pause=lambda: None)

    def test_takes_messages_that_were_published_a_week_ago(self, books: Books) -> None:
        with books.database.unit_of_work() as session:
            for _ in range(450):
                Store(session).add_downlink(*notice(b"\x01" * 32, "rental_changed"), now=NOW)
        with books.database.looks() as session:
            ids = [row.id for row in Store(session).unpublished(limit=449)]
        with books.database.stroke() as connection:
            mark_published(connection, ids, now=NOW)
        self.forget(books, days=7)
        assert count(books, Downlink) == 450
        self.forget(books, days=7.1)
        assert count(books, Downlink) == 1

    def test_takes_refusals_of_rentals_that_are_over(self, clerk: Clerk, books: Books) -> None:
        clerk.record([books.message(HONEST[5], at=NOW), books.message(b"rubbish", at=NOW)])
        stray = books.message(b"[]", at=NOW)
        clerk.record([stray.__class__(topic="hireling/x", payload=b"", received_at=NOW)])
        assert count(books, RefusalRow) == 3
        self.forget(books, days=91)
        assert {row.code for row in books.refusals()} == {"gap", "malformed"}
        assert count(books, RefusalRow) == 2
        finish(books)
        self.forget(books, days=92)
        assert count(books, RefusalRow) == 2
        self.forget(books, days=94)
        assert count(books, RefusalRow) == 0

    def test_takes_events_that_were_told_and_no_reading_with_them(self, clerk: Clerk, books: Books) -> None:
        def forget_told() -> None:
            moment = NOW + timedelta(days=30)
            forget_events(
                books.database, KeepingSettings(), service="metering", now=moment, pause=lambda: None
            )

        clerk.take(HONEST)
        forget_told()
        assert count(books, OUTBOX) == 1
        with books.database.unit_of_work() as session:
            session.execute(OUTBOX.update().values(sent_at=NOW))
        forget_told()
        assert count(books, OUTBOX) == 0
        assert json.loads(json.dumps(books.accepted())) == WIRES
