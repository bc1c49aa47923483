"""What the service wants devices to hear, carried from its table to the broker, in order."""

import json
from collections.abc import Sequence

from services.chassis.broker_line import BrokerLine
from services.chassis.broker_line import Message as Publication
from services.chassis.clock import Clock
from services.chassis.database import Database
from services.chassis.database_thread import DatabaseThread
from services.metering.downlink import Message
from services.metering.downlink_store import Pending, mark_published
from services.metering.store import Store

PAGE = 100


class Carrier:
    """Carries messages down, a page at a time."""

    def __init__(self, database: Database, thread: DatabaseThread, *, clock: Clock) -> None:
        self._database, self._thread, self._clock = database, thread, clock

    async def carry(self, line: BrokerLine) -> bool:
        """Publish the next page, and return whether there may be another. Raises BrokerLost.

        A message is marked only when the broker has it.
        """
        rows = await self._thread.run(self._unpublished)
        if rows:
            await line.publish([written((row.topic, row.payload)) for row in rows])
            await self._thread.run(lambda: self._mark_published([row.id for row in rows]))
        return len(rows) == PAGE

    def _unpublished(self) -> Sequence[Pending]:
        with self._database.looks() as session:
            return Store(session).unpublished(limit=PAGE)

    def _mark_published(self, ids: Sequence[int]) -> None:
        # What another copy published too is marked twice, and neither has to try again.
        with self._database.stroke() as connection:
            mark_published(connection, ids, now=self._clock.now())


def written(message: Message) -> Publication:
    """Return a message to a device as it is published."""
    topic, payload = message
    return topic, json.dumps(payload).encode()
