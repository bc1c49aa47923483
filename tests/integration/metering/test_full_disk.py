"""The platform's disk is full: nothing that was acknowledged is lost, and all goes on once there is room."""

import asyncio
from collections.abc import Callable
from typing import Any

import pytest
from sqlalchemy import event, text
from sqlalchemy.engine import ExceptionContext

from services.chassis.database import Database
from services.messages.errors import Unavailable
from services.metering.settings import MeteringSettings
from tests.builders import a_reading_chain
from tests.integration.metering.books import Clerk
from tests.integration.metering.device import Device, on_the_line
from tests.integration.metering.stage import Stage, running_ingest

READINGS = a_reading_chain(400)
UNLIMITED = 1 << 30
# PostgreSQL's own error of a full disk, raised where readings are written: a small disk needs root.
FULL_POSTGRESQL = """
CREATE SEQUENCE refusals;
CREATE FUNCTION disk_full() RETURNS trigger LANGUAGE plpgsql AS
$$ BEGIN
    PERFORM nextval('refusals');
    RAISE EXCEPTION 'could not extend file: No space left on device' USING ERRCODE = '53100';
END $$;
CREATE TRIGGER disk_full BEFORE INSERT ON reading_run FOR EACH STATEMENT EXECUTE FUNCTION disk_full()
"""


class Disk:
    """The disk under a database, with room or without."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._pages = UNLIMITED
        self._counted = 0
        if self._is_sqlite:
            event.listen(database.engine, "checkout", self._limit)
            event.listen(database.engine, "handle_error", self._count)

    @property
    def _is_sqlite(self) -> bool:
        return self._database.engine.dialect.name == "sqlite"

    @property
    def refused(self) -> int:
        """Return how often it was full."""
        if self._is_sqlite:
            return self._counted
        # A sequence goes on though its transaction is rolled back.
        with self._database.snapshot() as session:
            return int(session.execute(text("SELECT last_value FROM refusals")).scalar_one())

    def fill(self, *, room: int) -> None:
        """Leave room for so many pages, or on PostgreSQL for no reading."""
        if self._is_sqlite:
            with self._database.snapshot() as session:
                used = session.execute(text("PRAGMA page_count")).scalar_one()
            self._pages = int(used) + room
        else:
            self._execute(FULL_POSTGRESQL)

    def make_room(self) -> None:
        """Take the limit away."""
        self._pages = UNLIMITED
        if not self._is_sqlite:
            self._execute("DROP TRIGGER disk_full ON reading_run; DROP FUNCTION disk_full()")

    def _execute(self, statement: str) -> None:
        with self._database.queue_work() as session:
            session.execute(text(statement))

    def _limit(self, connection: Any, *_: Any) -> None:
        connection.execute(f"PRAGMA max_page_count = {self._pages}")

    def _count(self, context: ExceptionContext) -> None:
        if "is full" in str(context.original_exception):
            self._counted += 1


@pytest.fixture
def disk(stage: Stage) -> Disk:
    """Return the disk under the stage's database."""
    return Disk(stage.books.database)


async def until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(120):
        while not condition():  # noqa: ASYNC110 - a database has no event for this
            await asyncio.sleep(0.02)


class TestAFullDisk:
    def test_loses_nothing_that_was_acknowledged_and_goes_on_with_room(
        self, stage: Stage, disk: Disk
    ) -> None:  # fmt: skip
        books = stage.books
        books.agree()

        async def journey(device: Device) -> None:
            await device.send(READINGS[:50])
            await device.until_acked(49)
            disk.fill(room=2)
            await device.send(READINGS[50:])
            await until(lambda: disk.refused >= 2)
            stored = books.numbers()
            assert device.acked <= stored[-1] < 399
            assert stored == list(range(len(stored)))
            assert books.told() == books.accepted()
            disk.make_room()
            await device.deliver(READINGS)

        async def run() -> None:
            async with (
                running_ingest(stage, MeteringSettings()),
                on_the_line(stage.lines(books.device), books.device) as device,
            ):
                await journey(device)

        asyncio.run(run())

        assert books.accepted() == [reading.model_dump(mode="json") for reading in READINGS]
        assert books.told() == books.accepted()

    def test_is_said_to_whoever_writes(self, stage: Stage, disk: Disk) -> None:
        stage.books.agree()
        disk.fill(room=0)
        with pytest.raises(Unavailable, match="disk is full") as told:
            Clerk(stage.books).take(READINGS)

        assert told.value.code == "database_full"
        assert stage.books.numbers() == []
