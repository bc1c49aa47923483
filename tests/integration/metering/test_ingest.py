"""The ingest on real servers: amqtt and SQLite, and on the stack Mosquitto and PostgreSQL."""

import asyncio
import signal
from collections.abc import Awaitable, Callable, Sequence
from datetime import datetime
from pathlib import Path

import pytest

from hireling.rental.batch import batch_wire
from hireling.rental.broker_users import INGEST
from hireling.rental.ceiling import first_ceiling, sign_ceiling
from services.chassis.database import open_database
from services.chassis.migrations import migrate
from services.messages.errors import Unavailable
from services.metering.recording import Answers, Recorder
from services.metering.settings import MeteringSettings
from services.metering.store import Store
from services.metering.wire import Opened, Refused
from tests import stack
from tests.builders import DOMAIN, NOW, RENTER_AGENT_KEY, a_reading_chain
from tests.chain import free_port
from tests.integration.metering.books import LATER, Books, resigned
from tests.integration.metering.device import Device, on_the_line
from tests.integration.metering.lines import PASSWORD, named
from tests.integration.metering.servers import running_broker, running_module
from tests.integration.metering.stage import Stage, running_ingest

HONEST = a_reading_chain(40)
LONG_AGO = NOW.replace(year=2020)


def with_ingest(
    stage: Stage, journey: Callable[[Device], Awaitable[None]], *, settings: MeteringSettings | None = None
) -> None:
    """Go a journey on a device's line while an ingest runs in this process."""

    async def run() -> None:
        async with (
            running_ingest(stage, settings or MeteringSettings()),
            on_the_line(stage.lines(stage.books.device), stage.books.device) as device,
        ):
            await journey(device)

    asyncio.run(run())


class TestIngest:
    def test_acknowledges_what_is_stored(self, stage: Stage) -> None:
        stage.books.agree()

        async def journey(device: Device) -> None:
            await device.send(HONEST)
            await device.until_acked(39)
            assert stage.books.told() == [reading.model_dump(mode="json") for reading in HONEST]

        with_ingest(stage, journey)

    def test_takes_a_backlog_in_batches(self, stage: Stage) -> None:
        stage.books.agree()
        wires = [reading.model_dump_json() for reading in HONEST]

        async def journey(device: Device) -> None:
            for start in range(0, 40, 10):
                await device.publish(batch_wire(wires[start : start + 10]).encode(), word="batches")
            await device.until_acked(39)
            assert stage.books.told() == [reading.model_dump(mode="json") for reading in HONEST]

        with_ingest(stage, journey)

    def test_tells_the_device_what_it_refuses_and_goes_on(self, stage: Stage) -> None:
        stage.books.agree()
        twin = resigned(HONEST[0], amount_due=10**6)

        async def journey(device: Device) -> None:
            await device.send(HONEST[:1])
            await device.until_acked(0)
            await device.publish(b"rubbish")
            await device.publish(twin)
            await device.send(HONEST[1:])
            await device.until(lambda: device.acked == 39 and len(device.heard["refusals"]) == 2)

        with_ingest(stage, journey)
        assert stage.books.refused() == [(None, "malformed"), ("0", "conflicting_number")]

    def test_records_a_ceiling_that_the_renter_publishes(self, stage: Stage) -> None:
        stage.books.agree()
        first = first_ceiling(stage.books.signed.agreement, rental_id=stage.books.signed.rental_id)
        signed = sign_ceiling(RENTER_AGENT_KEY, DOMAIN, first)

        async def journey(device: Device) -> None:
            await device.publish(signed, word="ceilings")
            await device.send(HONEST[:1])
            await device.until_acked(0)

        with_ingest(stage, journey)
        [event] = stage.books.events("ceiling_accepted")
        assert event["ceiling"] == signed.model_dump(mode="json")

    def test_carries_messages_down_in_order_and_once(self, stage: Stage) -> None:
        topic = f"hireling/{stage.books.device}/notices"

        async def journey(device: Device) -> None:
            with stage.books.database.unit_of_work() as session:
                for number in range(20):
                    Store(session).add_downlink(topic, {"type": "offer_made", "number": number}, now=LATER)
            await device.until(lambda: len(device.heard["notices"]) >= 20)
            assert [notice["number"] for notice in device.heard["notices"]] == list(range(20))

        with_ingest(stage, journey)
        with stage.books.database.snapshot() as session:
            assert Store(session).unpublished(limit=1) == []

    def test_holds_a_reading_that_comes_before_its_rental_is_known(self, stage: Stage) -> None:
        async def journey(device: Device) -> None:
            await device.send(HONEST[:3])
            # By its refusal we know that what was published before it has been looked at.
            await device.publish(b"rubbish")
            await device.until(lambda: len(device.heard["refusals"]) == 1)
            stage.books.agree()
            await device.until_acked(2)

        with_ingest(stage, journey, settings=MeteringSettings(unknown_patience_seconds=60))

    def test_refuses_a_reading_whose_rental_stays_unknown(self, stage: Stage) -> None:
        async def journey(device: Device) -> None:
            await device.send(HONEST[:1])
            await device.until(lambda: len(device.heard["refusals"]) == 1)

        with_ingest(stage, journey, settings=MeteringSettings(unknown_patience_seconds=0))
        assert stage.books.refused() == [("0", "unknown_rental")]

    def test_answers_what_has_arrived_before_it_stops(self, stage: Stage) -> None:
        stage.books.agree()

        async def run() -> None:
            async with on_the_line(stage.lines(stage.books.device), stage.books.device) as device:
                async with running_ingest(stage, MeteringSettings()):
                    await device.send(HONEST)
                    await device.until_acked(0)
                stored = stage.books.numbers()
                await device.until_acked(stored[-1])

        asyncio.run(run())


class Stumbling(Recorder):
    """A recorder that meets a message it cannot record, and a database that is away at first."""

    absences = 2

    def record(self, opened: Sequence[Opened], *, now: datetime, patient: bool = True) -> Answers:
        if self.absences:
            self.absences -= 1
            raise Unavailable("database_away", "the database does not answer")
        if any(isinstance(each, Refused) and each.evidence == "poison" for each in opened):
            raise ArithmeticError("this cannot be recorded")
        return super().record(opened, now=now, patient=patient)


class TestTrouble:
    def test_with_one_message_or_the_database_keeps_no_other_message_from_being_recorded(
        self, stage: Stage
    ) -> None:
        stage.books.agree()

        async def run() -> None:
            async with (
                running_ingest(stage, MeteringSettings()) as ingest,
                on_the_line(stage.lines(stage.books.device), stage.books.device) as device,
            ):
                ingest._recorder = Stumbling(stage.books.database, settings=MeteringSettings())
                await device.send(HONEST[:20])
                await device.publish(b"poison")
                await device.send(HONEST[20:])
                await device.until_acked(39)

        asyncio.run(run())
        assert stage.books.numbers() == list(range(40))


class TestConnection:
    def test_is_made_again_when_the_broker_was_killed(self, tmp_path: Path) -> None:
        port = free_port()
        url = f"sqlite:///{tmp_path}/metering.db"
        migrate("metering", url=url)
        database = open_database(url)
        books = Books(database)
        stage = Stage(named(port, INGEST, PASSWORD), url, books)
        stage.books.agree()

        async def run() -> None:
            with running_broker(port, url) as broker:
                async with running_ingest(stage, MeteringSettings()):
                    broker.kill()
                    await asyncio.to_thread(broker.wait)
                    with running_broker(port, url):
                        async with on_the_line(stage.lines(stage.books.device), stage.books.device) as device:
                            await device.deliver(HONEST)

        asyncio.run(run())
        assert stage.books.numbers() == list(range(40))
        database.close()


@pytest.mark.stack
class TestSharedSubscription:
    def test_divides_a_stream_and_loses_and_doubles_nothing(self) -> None:
        with stack.fresh_database("metering") as url:
            migrate("metering", url=url)
            databases = [open_database(url) for _ in range(2)]
            stages = [Stage(stack.mqtt_url(), url, Books(database)) for database in databases]
            stages[0].books.agree()
            shared = MeteringSettings(share_group=f"ingest-{free_port()}", batch_size=5)

            async def run() -> None:
                async with (
                    running_ingest(stages[0], shared),
                    running_ingest(stages[1], shared),
                    on_the_line(stages[0].lines(stages[0].books.device), stages[0].books.device) as device,
                ):
                    await device.deliver(HONEST)

            asyncio.run(run())
            assert stages[0].books.told() == [reading.model_dump(mode="json") for reading in HONEST]
            for database in databases:
                database.close()


class TestProcess:
    def test_drains_on_sigterm_and_exits_with_0(self, stage: Stage) -> None:
        stage.books.agree(started=LONG_AGO)

        async def run() -> None:
            async with on_the_line(stage.lines(stage.books.device), stage.books.device) as device:
                with running_module("services.metering.ingest", **stage.environment()) as ingest:
                    await device.deliver(HONEST[:20])
                    await device.send(HONEST[20:])
                    ingest.send_signal(signal.SIGTERM)
                    assert await asyncio.to_thread(ingest.wait, 30) == 0
                stored = stage.books.numbers()
                await device.until_acked(stored[-1])

        asyncio.run(run())

    def test_killed_in_mid_stream_loses_and_doubles_nothing(self, stage: Stage) -> None:
        readings = a_reading_chain(400)
        stage.books.agree(started=LONG_AGO)

        async def run() -> None:
            async with (
                on_the_line(stage.lines(stage.books.device), stage.books.device) as device,
                asyncio.TaskGroup() as tasks,
            ):
                delivering = tasks.create_task(device.deliver(readings))
                for threshold in (50, 150, 250):
                    with running_module("services.metering.ingest", **stage.environment()) as ingest:
                        await device.until_acked(threshold)
                        ingest.kill()
                        await asyncio.to_thread(ingest.wait, 10)
                        stored = stage.books.numbers()
                        assert stored == list(range(len(stored)))
                        assert device.acked < len(stored)
                with running_module("services.metering.ingest", **stage.environment()):
                    await delivering

        asyncio.run(run())
        assert stage.books.accepted() == [reading.model_dump(mode="json") for reading in readings]
        assert stage.books.told() == stage.books.accepted()

    def test_says_what_is_wrong_with_an_empty_database(self, tmp_path: Path) -> None:
        url = f"sqlite:///{tmp_path}/empty.db"
        with running_module("services.metering.ingest", METERING_DATABASE_URL=url) as ingest:
            assert ingest.wait(30) == 78
