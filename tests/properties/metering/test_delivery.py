"""Any message delivered 0 to n times, in any order, gives the same bill.

Through the real ingest, on a real database.
"""

import asyncio
import shutil
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from hireling.rental.reading import SignedReading
from services.chassis.database import open_database
from services.chassis.migrations import migrate
from services.chassis.mqtt_settings import MqttSettings
from services.embedded.broker import LocalBroker
from services.metering.ingest import Ingest
from services.metering.settings import MeteringSettings
from tests.builders import a_reading_chain
from tests.fakes.clock import FixedClock
from tests.fakes.door import OpenDoor
from tests.integration.metering.books import LATER, Books, Clerk, acked
from tests.integration.metering.device import on_the_line
from tests.integration.metering.lines import for_everybody

LONGEST = 40
LOGS = {length: a_reading_chain(length) for length in range(2, LONGEST + 1)}


@dataclass(frozen=True)
class Delivery:
    """A rental's log, and in which batches its messages come."""

    log: Sequence[SignedReading]
    batches: Sequence[Sequence[SignedReading]]


@st.composite
def deliveries(draw: st.DrawFn) -> Delivery:
    """Draw a delivery.

    Everything comes twice, shuffled within a window, and one reading is lost and sent again at the end.
    """
    log = LOGS[draw(st.integers(2, LONGEST))]
    lost = draw(st.sampled_from(log))
    window = draw(st.integers(1, len(log)))
    delays = draw(st.lists(st.integers(0, window), min_size=2 * len(log), max_size=2 * len(log)))
    twice = [signed for signed in log for _ in range(2)]
    order = sorted(range(len(twice)), key=lambda place: (place // 2 + delays[place], delays[place]))
    stream = [twice[place] for place in order if twice[place] is not lost] + [lost]
    size = draw(st.integers(1, len(stream)))
    return Delivery(log, [stream[start : start + size] for start in range(0, len(stream), size)])


@pytest.fixture(scope="module")
def template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a database with metering's tables, to be copied."""
    path = tmp_path_factory.mktemp("template") / "metering.db"
    migrate("metering", url=f"sqlite:///{path}")
    return path


@contextmanager
def new_books(template: Path) -> Iterator[Books]:
    """Return the books of an agreed rental in a database of their own."""
    with TemporaryDirectory() as folder:
        path = shutil.copy(template, Path(folder) / "metering.db")
        database = open_database(f"sqlite:///{path}")
        books = Books(database)
        books.agree()
        yield books
        database.close()


def check_same_bill(books: Books, log: Sequence[SignedReading]) -> None:
    """Assert that what is stored and told is the log itself, once, in order, and nothing stands refused."""
    wires = [signed.model_dump(mode="json") for signed in log]
    assert books.accepted() == wires
    assert books.told() == wires
    assert books.refused() == []


class TestDelivery:
    @given(delivery=deliveries())
    @settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
    def test_in_any_order_and_number_gives_the_same_bill(self, template: Path, delivery: Delivery) -> None:
        with new_books(template) as books:
            clerk = Clerk(books)
            answers = [clerk.take(batch) for batch in delivery.batches]
            check_same_bill(books, delivery.log)
            numbers = [number for answer in answers for number in acked(answer)]
            assert numbers == sorted(numbers)
            assert numbers[-1] == len(delivery.log) - 1

    @given(delivery=deliveries(), turns=st.lists(st.booleans(), min_size=2 * LONGEST, max_size=2 * LONGEST))
    @settings(max_examples=30, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
    def test_shared_by_two_processes_gives_the_same_bill(
        self, template: Path, delivery: Delivery, turns: list[bool]
    ) -> None:
        with new_books(template) as books:
            clerks = (Clerk(books), Clerk(books))
            for batch, turn in zip(delivery.batches, turns, strict=False):
                clerks[turn].take(batch)
            check_same_bill(books, delivery.log)

    @given(delivery=deliveries(), batch_size=st.integers(1, 20))
    @settings(max_examples=8, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
    def test_by_a_broker_gives_the_same_bill(
        self, template: Path, delivery: Delivery, batch_size: int
    ) -> None:
        with new_books(template) as books:
            asyncio.run(deliver_by_broker(books, delivery, MeteringSettings(batch_size=batch_size)))
            check_same_bill(books, delivery.log)


async def deliver_by_broker(books: Books, delivery: Delivery, settings: MeteringSettings) -> None:
    """Publish a delivery on a broker in this process to an ingest in this process."""
    broker = LocalBroker(host="127.0.0.1", port=0, door=OpenDoor())
    await broker.start()
    mqtt = MqttSettings(mqtt_url=f"mqtt://127.0.0.1:{broker.port}")
    ingest = Ingest(books.database, mqtt=mqtt, settings=settings, clock=FixedClock(LATER))
    serving = asyncio.create_task(ingest.run())
    async with asyncio.timeout(60):
        await ingest.ready.wait()
        async with on_the_line(for_everybody(mqtt.mqtt_url), books.device) as device:
            for batch in delivery.batches:
                await device.send(batch)
            await device.until_acked(len(delivery.log) - 1)
        ingest.stop()
        await serving
    await broker.shutdown()
