"""What ingest works between: a broker, and a database with one rental agreed."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from urllib.parse import urlsplit

from hireling.rental.broker_users import INGEST
from services.chassis.mqtt_settings import MqttSettings
from services.metering.ingest import Ingest
from services.metering.settings import MeteringSettings
from tests.fakes.clock import FixedClock
from tests.integration.metering.books import LATER, Books
from tests.integration.metering.lines import Lines, embedded_lines, for_everybody, port_of


@dataclass(frozen=True)
class Stage:
    """A broker and a database with one rental agreed."""

    mqtt_url: str
    """The broker's address with the ingest's name in it."""
    database_url: str
    books: Books

    def environment(self) -> dict[str, str]:
        """Return what an ingest process must be told."""
        return {"HIRELING_MQTT_URL": self.mqtt_url, "METERING_DATABASE_URL": self.database_url}

    def lines(self, device: str) -> Lines:
        """Return the broker's address for a device and its renter: the stack's has one account for all."""
        if urlsplit(self.mqtt_url).username != INGEST:
            return for_everybody(self.mqtt_url)
        return embedded_lines(port_of(self.mqtt_url), self.books.database, device)


@asynccontextmanager
async def running_ingest(stage: Stage, settings: MeteringSettings) -> AsyncIterator[Ingest]:
    """Run an ingest for the length of a block."""
    ingest = Ingest(
        stage.books.database,
        mqtt=MqttSettings(mqtt_url=stage.mqtt_url),
        settings=settings,
        clock=FixedClock(LATER),
    )
    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(ingest.run())
        async with asyncio.timeout(30):
            await ingest.ready.wait()
        yield ingest
        ingest.stop()
