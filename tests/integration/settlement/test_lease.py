"""The lease by which one copy of settlement drives the chain, whatever the copies' clocks say."""

from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest

from services.chassis.database import Database, open_database
from services.chassis.migrations import migrate
from services.settlement.lease import Lease
from tests.fakes.clock import FixedClock

SECONDS = 10
WRONG_BY = timedelta(minutes=5)


class Copy:
    """A copy of settlement, with a clock that may be wrong and a measure of seconds that is not."""

    def __init__(self, database: Database, clock: FixedClock, *, wrong_by: timedelta = timedelta(0)) -> None:
        self._database = database
        self._clock = clock
        self._wrong_by = wrong_by
        self._lease = Lease(seconds=SECONDS, ticks=lambda: clock.now().timestamp())

    def drives(self) -> bool:
        return self._lease.holds(self._database, now=self._clock.now() + self._wrong_by)


@pytest.fixture
def database(tmp_path: Path) -> Iterator[Database]:
    """Settlement's database, empty."""
    url = f"sqlite:///{tmp_path}/settlement.db"
    migrate("settlement", url=url)
    database = open_database(url)
    yield database
    database.close()


class TestLease:
    def test_one_copy_drives_for_as_long_as_it_lives(self, database: Database) -> None:
        clock = FixedClock()
        first, second = Copy(database, clock), Copy(database, clock)
        for _ in range(10 * SECONDS):
            assert first.drives()
            assert not second.drives()
            clock.advance(seconds=1)

    def test_another_drives_when_the_time_of_a_dead_one_has_come(self, database: Database) -> None:
        clock = FixedClock()
        assert Copy(database, clock).drives()
        clock.advance(seconds=SECONDS)
        assert Copy(database, clock).drives()

    def test_a_dead_one_whose_clock_was_ahead_keeps_nobody_waiting_for_longer(
        self, database: Database
    ) -> None:
        clock = FixedClock()
        assert Copy(database, clock, wrong_by=WRONG_BY).drives()
        waiting = Copy(database, clock)
        for _ in range(SECONDS):
            assert not waiting.drives()
            clock.advance(seconds=1)
        assert waiting.drives()

    def test_a_living_one_whose_clock_is_ahead_keeps_it(self, database: Database) -> None:
        clock = FixedClock()
        ahead, waiting = Copy(database, clock, wrong_by=WRONG_BY), Copy(database, clock)
        for _ in range(10 * SECONDS):
            assert ahead.drives()
            assert not waiting.drives()
            clock.advance(seconds=1)

    def test_who_lost_it_sees_that(self, database: Database) -> None:
        clock = FixedClock()
        cut_off = Copy(database, clock)
        assert cut_off.drives()
        clock.advance(seconds=SECONDS)
        assert Copy(database, clock).drives()
        assert not cut_off.drives()
