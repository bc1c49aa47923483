"""What ingest holds is bounded, and nothing is acknowledged to the broker that is not durable."""

import asyncio
import os
import threading
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import datetime

import pytest

from services.chassis.broker_line import open_line
from services.chassis.mqtt_packets import Delivery, Version
from services.chassis.mqtt_settings import MqttSettings
from services.metering.ingest import Ingest
from services.metering.recording import Answers, Recorder
from services.metering.settings import MeteringSettings
from services.metering.wire import Opened
from tests.builders import a_reading_chain
from tests.integration.metering.device import Device, on_the_line
from tests.integration.metering.lines import for_everybody
from tests.integration.metering.stage import Stage, running_ingest
from tests.integration.metering.tap import PUBACK, PUBLISH, Tap, tapped

LOG = a_reading_chain(300)
SECONDS = 60.0


class Gated(Recorder):
    """A recorder whose database answers only while the gate is open."""

    gate: threading.Event

    def record(self, opened: Sequence[Opened], *, now: datetime, patient: bool = True) -> Answers:
        assert self.gate.wait(SECONDS)
        return super().record(opened, now=now, patient=patient)


@asynccontextmanager
async def held_up(
    stage: Stage, settings: MeteringSettings
) -> AsyncIterator[tuple[Device, Tap, threading.Event, Ingest]]:
    """Run an ingest behind a tap, on a database that answers only when the gate is opened."""
    gate = threading.Event()
    async with (
        tapped(stage.mqtt_url) as tap,
        running_ingest(replace(stage, mqtt_url=tap.url), settings) as ingest,
        on_the_line(stage.lines(stage.books.device), stage.books.device) as device,
    ):
        ingest._recorder = Gated(stage.books.database, settings=settings)
        ingest._recorder.gate = gate
        try:
            yield device, tap, gate, ingest
        finally:
            gate.set()


async def until(condition: Callable[[], bool]) -> None:
    """Wait until a count is reached."""
    async with asyncio.timeout(SECONDS):
        while not condition():  # noqa: ASYNC110 - packets pass by without telling anybody
            await asyncio.sleep(0.01)


class TestAcknowledgement:
    def test_waits_for_the_commit(self, stage: Stage) -> None:
        stage.books.agree()

        async def run() -> None:
            async with held_up(stage, MeteringSettings()) as (device, tap, gate, _):
                await device.send(LOG[:20])
                await until(lambda: tap.down[PUBLISH] == 20)
                assert tap.up[PUBACK] == 0
                gate.set()
                await device.until_acked(19)
                await until(lambda: tap.up[PUBACK] == 20)

        asyncio.run(run())
        assert stage.books.numbers() == list(range(20))


@pytest.mark.stack
class TestOverload:
    def test_holds_no_more_than_it_is_set_to_and_loses_nothing(self, stage: Stage) -> None:
        stage.books.agree()

        async def run() -> None:
            async with held_up(stage, MeteringSettings(queue_size=10)) as (device, tap, gate, _):
                await device.send(LOG)
                await until(lambda: tap.down[PUBLISH] >= 10)
                # Mosquitto has all 300 by now. Version 3.1.1, as amqtt speaks it, has no receive maximum.
                if stage.mqtt_url == os.environ["STACK_MQTT_URL"]:
                    assert tap.down[PUBLISH] == 10
                gate.set()
                await device.deliver(LOG)

        asyncio.run(run())
        assert stage.books.numbers() == list(range(len(LOG)))

    def test_stops_where_the_broker_has_ever_more(self, stage: Stage) -> None:
        stage.books.agree()

        async def run() -> None:
            async with held_up(stage, MeteringSettings(queue_size=10)) as (device, tap, gate, ingest):
                await device.send(LOG)
                await until(lambda: tap.down[PUBLISH] >= 10)
                ingest.stop()
                gate.set()

        asyncio.run(run())
        stored = stage.books.numbers()
        assert stored == list(range(len(stored)))
        assert len(stored) >= 10
        # amqtt had handed all of them over by then.
        if stage.mqtt_url == os.environ["STACK_MQTT_URL"]:
            assert len(stored) < len(LOG)

    @pytest.mark.parametrize("version", list(Version), ids=lambda version: version.name)
    def test_stops_reading_until_there_is_room(self, version: Version) -> None:
        url = os.environ["STACK_MQTT_URL"]

        async def run() -> None:
            line = await open_line(
                MqttSettings(mqtt_url=url), most_in_hand=50, most_bytes_in_hand=5_000, versions=[version]
            )
            await line.subscribe(["hireling/bound/readings"])
            async with on_the_line(for_everybody(url), "bound") as device:
                for _ in range(20):
                    await device.publish(b"x" * 1_000)
            taken: list[Delivery] = []
            while len(taken) < 5:
                taken += await line.arrivals()
            assert line._transport is not None
            assert not line._transport.is_reading()
            count = len(taken)
            while count < 20:
                line.acknowledge(taken)
                taken = await line.arrivals()
                count += len(taken)
            assert count == 20
            await line.close()

        asyncio.run(run())
