"""Flags of recorded readings: each once, told to settlement and the owner, cleared by a person."""

import random
from datetime import timedelta
from itertools import accumulate

import pytest
from sqlalchemy import select

from hireling.rental.reading import Reading, Sample, SignedReading, reading_hash, sign_reading
from services.metering.clearing import main as clear
from services.metering.flag_store import FlagStore
from services.metering.judging import judge_readings, reading_reaching, roles_of, watch_row
from services.metering.models import Downlink
from services.metering.plausibility import Role
from services.metering.settings import MeteringSettings
from services.metering.store import Store
from tests.builders import METER_KEY, NOW, a_reading_chain, signed_agreement
from tests.integration.metering.books import LATER, Books, Clerk

SETTINGS = MeteringSettings(gap_seconds=5)
HONEST = a_reading_chain(20)


def with_gaps(readings: tuple[SignedReading, ...], *places: int) -> list[SignedReading]:
    """Return the readings as of a clock that was silent for ten seconds before each of these numbers."""
    late, found, previous = 0, [], readings[0].reading.rental_id
    for signed in readings:
        late += 10_000 * (signed.reading.seq in places)
        before = signed.reading.sample
        sample = Sample.model_validate(
            {**dict(before), "previous": previous, "monotonic_ms": before.monotonic_ms + late}
        )
        reading: Reading = signed.reading.model_copy(update={"sample": sample})
        found.append(sign_reading(METER_KEY, signed.domain, reading))
        previous = reading_hash(reading)
    return found


def judge(books: Books, *, patience: float = 0, settings: MeteringSettings = SETTINGS) -> None:
    judge_readings(
        books.database,
        settings.limits,
        now=LATER,
        patience=timedelta(seconds=patience),
        pause=lambda: None,
    )


@pytest.fixture
def watched(books: Books) -> Books:
    """Return the books of a rental that is judged."""
    with books.database.unit_of_work() as session:
        FlagStore(session).begin(watch_row(books.signed, now=NOW))
    return books


def flags(books: Books) -> list[tuple[int, str, bool]]:
    with books.database.snapshot() as session:
        rows = FlagStore(session).flags(books.rental_id)
    return [(row.seq, row.code, row.cleared_at is not None) for row in rows]


class TestJudging:
    def test_flags_what_looks_wrong_once_however_often_it_looks(self, clerk: Clerk, watched: Books) -> None:
        readings = with_gaps(HONEST, 4, 11)
        for start in range(0, 20, 3):
            clerk.take(readings[start : start + 3])
            judge(watched)
            judge(watched)

        assert flags(watched) == [(4, "gap", False), (11, "gap", False)]
        told = watched.events("flagged")
        assert [(event["seq"], event["code"]) for event in told] == [(4, "gap"), (11, "gap")]
        assert int(told[0]["amount_due"]) == readings[4].reading.amount_due

    def test_takes_counters_that_freeze_together_for_one_flag_and_judges_the_others_on(
        self, clerk: Clerk, watched: Books
    ) -> None:
        with watched.database.unit_of_work() as session:
            row = FlagStore(session).watch(watched.rental_id)
            assert row is not None
            row.roles = [Role.USE, Role.USE]
        noise = random.Random(7).choices(range(20, 90), k=100)
        grown = list(accumulate([0, *noise, *[50] * 60]))
        clerk.take(a_reading_chain(len(grown), counters=[(each, each) for each in grown]))
        judge(watched, settings=MeteringSettings(flat_readings=50))
        assert flags(watched) == [(150, "flat_run", False)]
        assert len(watched.events("flagged")) == 1

    def test_goes_on_where_one_rental_cannot_be_judged(self, clerk: Clerk, watched: Books) -> None:
        with watched.database.unit_of_work() as session:
            row = FlagStore(session).watch(watched.rental_id)
            assert row is not None
            row.roles = ["nonsense"]
        clerk.take(with_gaps(HONEST, 4))
        judge(watched)
        assert flags(watched) == []
        with watched.database.unit_of_work() as session:
            row = FlagStore(session).watch(watched.rental_id)
            assert row is not None
            row.roles = [Role.USE, Role.PAID_TIME]
        judge(watched)
        assert flags(watched) == [(4, "gap", False)]

    def test_tells_the_owner_s_agent(self, clerk: Clerk, watched: Books) -> None:
        clerk.take(with_gaps(HONEST, 4))
        judge(watched)
        with watched.database.snapshot() as session:
            (message,) = session.execute(select(Downlink)).scalars()
        assert message.topic == f"hireling/{watched.device}/notices"
        assert message.payload["type"] == "flagged"
        assert message.payload["reason"].startswith("no reading for 11 s")

    def test_waits_for_a_few_readings_and_not_for_many(self, clerk: Clerk, watched: Books) -> None:
        clerk.take(with_gaps(HONEST, 4)[:10])
        judge(watched, patience=10 * 86_400)
        assert flags(watched) == []
        judge(watched)
        assert flags(watched) == [(4, "gap", False)]

    def test_judges_nothing_of_a_rental_that_was_agreed_before_there_were_rules(
        self, clerk: Clerk, books: Books
    ) -> None:
        clerk.take(with_gaps(HONEST, 4))
        judge(books)
        assert flags(books) == []

    def test_remembers_nothing_of_a_rental_that_is_over_but_its_flags(
        self, clerk: Clerk, watched: Books
    ) -> None:
        clerk.take(with_gaps(HONEST, 4))
        judge(watched)
        with watched.database.unit_of_work() as session:
            assert FlagStore(session).watch(watched.rental_id) is None
        assert flags(watched) == [(4, "gap", False)]


class TestClearing:
    def test_is_a_person_s_word_and_is_told(
        self,
        clerk: Clerk,
        watched: Books,
        monkeypatch: pytest.MonkeyPatch,
        capsys: pytest.CaptureFixture[str],
    ) -> None:
        clerk.take(with_gaps(HONEST, 4, 11))
        judge(watched)
        url = watched.database.engine.url.render_as_string(hide_password=False)
        monkeypatch.setenv("METERING_DATABASE_URL", url)

        assert clear([watched.rental_id, "--because", "the router was down"]) == 0
        assert "cleared gap of reading 4: no reading for 11 s" in capsys.readouterr().out
        assert flags(watched) == [(4, "gap", True), (11, "gap", True)]
        assert [event["seq"] for event in watched.events("flag_cleared")] == [4, 11]

        assert clear([watched.rental_id, "--because", "again"]) == 1
        assert len(watched.events("flag_cleared")) == 2


class TestReadingReaching:
    def test_finds_the_first_that_asks_so_much(self, clerk: Clerk, books: Books) -> None:
        clerk.take(HONEST)
        amounts = [int(signed.reading.amount_due) for signed in HONEST]
        with books.database.snapshot() as session:
            store = Store(session)
            rental = store.rentals([books.rental_id])[books.rental_id]
            for amount in (0, amounts[5], amounts[5] + 1, amounts[-1]):
                found = reading_reaching(store, rental, amount)
                assert found is not None
                expected = next(place for place, due in enumerate(amounts) if due >= amount)
                assert int(found["reading"]["seq"]) == expected
            assert reading_reaching(store, rental, amounts[-1] + 1) is None


def test_roles_follow_what_is_paid_and_what_is_counted() -> None:
    assert roles_of(signed_agreement()) == [Role.USE, Role.PAID_TIME]
