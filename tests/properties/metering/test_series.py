"""A chart's steps are what plain counting makes of the readings, whatever was rolled up before."""

import itertools
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, closing
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hireling.rental.batch import batch_wire
from hireling.rental.reading import (
    ClockQuality,
    Reading,
    ReadingEvent,
    Sample,
    SignedReading,
    measured,
    reading_hash,
)
from hireling.rental.typed_data import to_hex
from services.chassis.database import Database, open_database
from services.chassis.migrations import migrate
from services.messages.metering import SeriesQuery
from services.metering import usage_store
from services.metering.charting import roll_up, series
from services.metering.runs import Run, minutes_of
from services.metering.store import Store
from services.metering.taking import rental_row
from services.metering.usage_store import UsageStore
from tests import stack
from tests.builders import BOOT, DOMAIN, NOW, signed_agreement

START_AT = int(NOW.timestamp())
DAY = 24 * 3_600
RENTAL_IDS = (number.to_bytes(32) for number in itertools.count(1))
AGREEMENT = signed_agreement()
COUNTER = 2**200


@dataclass(frozen=True)
class Told:
    """A reading to be: by the device's clock, in ms after the agreed start, and whether that clock is set."""

    wall_ms: int
    is_set: bool


@dataclass(frozen=True)
class Arrival:
    """Readings that come together, so many seconds after the start; and whether a roll-up follows."""

    told: Sequence[Told]
    after: int
    rolled_up: bool


@st.composite
def arrivals(draw: st.DrawFn) -> list[Arrival]:
    """Draw readings whose clocks run, jump and stand wrong, and that come at once, late or in a burst."""
    found, wall_ms = [], draw(st.integers(-2_000, 2_000))
    for _ in range(draw(st.integers(1, 6))):
        told = []
        for _ in range(draw(st.integers(1, 8))):
            jump = st.sampled_from((-3 * DAY, -90, -3_600, 3_600, 7 * DAY))
            wall_ms += 1_000 * draw(jump) if draw(st.integers(0, 9)) == 0 else draw(st.integers(0, 45_000))
            told.append(Told(wall_ms, draw(st.integers(0, 9)) > 0))
        after = draw(st.one_of(st.integers(0, 7_200), st.integers(0, 3 * DAY)))
        found.append(Arrival(told, after, draw(st.booleans())))
    return found


@st.composite
def queries(draw: st.DrawFn) -> SeriesQuery:
    """Draw what somebody asks for, who begins at any second or with a UTC day."""
    begin = START_AT + draw(st.integers(-4 * DAY, 3 * DAY))
    if draw(st.booleans()):
        begin -= begin % DAY
    return SeriesQuery(
        begin=begin,
        end=begin + draw(st.integers(0, 5 * DAY)),
        step=draw(st.sampled_from((1, 7, 59, 60, 120, 420, 3_600, 5_400, 7_200, DAY))),
        limit=draw(st.sampled_from((1, 3, 1_000))),
    )


def reading(rental_id: bytes, seq: int, told: Told) -> SignedReading:
    """Return a reading that nobody signed: what is asked here is only when."""
    sample = Sample(
        previous=rental_id,
        counters=(seq * COUNTER, seq * seq),
        boot=BOOT,
        monotonic_ms=seq,
        wall_ms=START_AT * 1_000 + told.wall_ms,
        clock=ClockQuality(told.is_set),
        event=ReadingEvent.CONTINUE,
        flags=0,
    )
    said = Reading(rental_id=rental_id, seq=seq, amount_due=seq * 7, last=False, sample=sample)
    return SignedReading(domain=DOMAIN, reading=said, signature=b"\x01")


def arrive(database: Database, rental_id: bytes, arrivals: Sequence[Arrival]) -> Iterator[tuple[int, int]]:
    """Store readings as they arrive; yield each one's number and when it counts as taken, Unix ms."""
    row = rental_row(AGREEMENT, now=NOW)
    row.rental_id = to_hex(rental_id)
    with database.unit_of_work() as session:
        Store(session).add_rental(row)
    numbers = itertools.count()
    for arrival in arrivals:
        received_at = NOW + timedelta(seconds=arrival.after)
        signed = [reading(rental_id, next(numbers), told) for told in arrival.told]
        run = Run(
            rental_id=row.rental_id,
            first_seq=signed[0].reading.seq,
            last_seq=signed[-1].reading.seq,
            received_at=received_at,
            hashes=b"".join(reading_hash(each.reading) for each in signed),
            document=batch_wire([each.model_dump_json() for each in signed]),
            minutes=minutes_of(
                [measured(each.reading) for each in signed], start_at=START_AT, received_at=received_at
            ),
        )
        with database.queue_work() as session:
            Store(session).add_runs([run])
        for each, told in zip(signed, arrival.told, strict=True):
            arrived_ms = (START_AT + arrival.after) * 1_000
            wall_ms = START_AT * 1_000 + told.wall_ms
            is_believed = told.is_set and told.wall_ms >= -DAY * 1_000
            yield each.reading.seq, min(wall_ms, arrived_ms) if is_believed else arrived_ms
        if arrival.rolled_up:
            roll_up(database, pause=lambda: None)


def reckon(taken: Sequence[tuple[int, int]], *, begin: int, end: int, step: int) -> list[dict[str, Any]]:
    """Return the steps by counting."""
    found = []
    if step >= 60:
        begin = begin // 60 * 60
    while begin < end:
        numbers = [seq for seq, ms in taken if begin * 1_000 <= ms < (begin + step) * 1_000]
        if numbers:
            found.append(
                {
                    "start": begin,
                    "end": begin + step,
                    "readings": len(numbers),
                    "first": state(min(numbers)),
                    "last": state(max(numbers)),
                }
            )
        begin += step
    return found


def state(seq: int) -> dict[str, Any]:
    """Return what the meter said at this number."""
    return {"seq": str(seq), "amount_due": str(seq * 7), "counters": [str(seq * COUNTER), str(seq * seq)]}


def ask(database: Database, rental_id: bytes, query: SeriesQuery) -> list[dict[str, Any]]:
    """Return the steps of all pages."""
    found: list[dict[str, Any]] = []
    following: str | None = str(query.begin)
    while following is not None:
        page_query = query.model_copy(update={"begin": int(following)})
        with database.snapshot() as session:
            store = UsageStore(session)
            rental = store.rentals([to_hex(rental_id)])[to_hex(rental_id)]
            page = series(store, rental, page_query)
        assert len(page["items"]) <= query.limit
        found += page["items"]
        following = page["next"]
    return found


@pytest.fixture(scope="module", params=["sqlite", pytest.param("postgresql", marks=pytest.mark.stack)])
def database(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Database]:
    """Return a database with metering's tables, for all examples: each has a rental of its own."""
    with ExitStack() as cleanup:
        url = f"sqlite:///{tmp_path_factory.mktemp('series')}/metering.db"
        if request.param == "postgresql":
            url = cleanup.enter_context(stack.fresh_database("metering"))
        migrate("metering", url=url)
        yield cleanup.enter_context(closing(open_database(url)))


def examples(database: Database, count: int) -> settings:
    """Have PostgreSQL, which takes several times as long, draw a quarter: the rule itself is the same."""
    is_quick = database.engine.dialect.name == "sqlite"
    return settings(max_examples=count if is_quick else count // 4, deadline=None)


class TestSeries:
    def test_is_what_counting_makes_of_the_readings(self, database: Database) -> None:
        @examples(database, 80)
        @given(arrivals=arrivals(), query=queries())
        def holds(arrivals: list[Arrival], query: SeriesQuery) -> None:
            rental_id = next(RENTAL_IDS)
            taken = list(arrive(database, rental_id, arrivals))
            if query.step < 60:
                # Of so fine steps there would be too many to reckon: those around the first reading do.
                begin = taken[0][1] // 1_000 - query.begin % 600
                query = query.model_copy(update={"begin": begin, "end": begin + 600 * query.step})
            expected = reckon(taken, begin=query.begin, end=query.end, step=query.step)
            assert ask(database, rental_id, query) == expected

        holds()

    def test_is_the_same_however_often_and_in_which_pieces_it_is_rolled_up(self, database: Database) -> None:
        @examples(database, 25)
        @given(arrivals=arrivals(), at_once=st.integers(1, 5))
        def holds(arrivals: list[Arrival], at_once: int) -> None:
            self._is_the_same(database, arrivals, at_once=at_once)

        holds()

    def _is_the_same(self, database: Database, arrivals: list[Arrival], *, at_once: int) -> None:
        rental_id = next(RENTAL_IDS)
        query = SeriesQuery(begin=START_AT - 8 * DAY, end=START_AT + 8 * DAY, step=60, limit=1_000)
        taken = list(arrive(database, rental_id, [replace(each, rolled_up=False) for each in arrivals]))
        before = ask(database, rental_id, query)
        with pytest.MonkeyPatch.context() as changed:
            changed.setattr(usage_store, "READINGS_OF_RENTAL_AT_ONCE", at_once)
            roll_up(database, pause=lambda: None)
        roll_up(database, pause=lambda: None)
        with database.snapshot() as session:
            assert not UsageStore(session).has_unrolled()
        assert before == ask(database, rental_id, query)
        assert sum(each["readings"] for each in before) == len([ms for _, ms in taken if ms])


def test_a_step_keeps_to_the_day_of_whoever_asks(database: Database) -> None:
    rental_id = next(RENTAL_IDS)
    told = [Told(hours * 3_600_000, is_set=True) for hours in range(40)]
    taken = list(arrive(database, rental_id, [Arrival(told, 3 * DAY, rolled_up=True)]))
    begin = int(datetime(2029, 12, 31, 23, 0, tzinfo=UTC).timestamp())
    query = SeriesQuery(begin=begin, end=begin + 3 * DAY, step=DAY)
    days = ask(database, rental_id, query)
    assert days == reckon(taken, begin=begin, end=begin + 3 * DAY, step=DAY)
    assert [day["readings"] for day in days] == [11, 24, 5]
