"""A marketplace in one object.

The HTTP contract, the chain's answers and the ingest that agents need, over a real broker.

It keeps the rules that agents depend on (turns, signatures, contiguous durable readings, two halves of a
close) and lets a test break its line: lose, repeat, refuse. The whole marketplace itself runs in tests/e2e.
"""

import httpx

from hireling.announce import silent
from hireling.mqtt_line import Broker, Credentials, MqttLine
from hireling.rental.batch import ReadingBatch
from hireling.rental.broker_users import INGEST
from hireling.rental.ceiling import SignedCeiling
from hireling.rental.reading import SignedReading
from hireling.rental.typed_data import to_hex
from services.metering.access import hash_of, new_password
from tests.fakes.door import Named
from tests.integration.agent.market_books import Books
from tests.integration.agent.market_door import Door
from tests.integration.agent.market_node import Node

TAKEN = ("readings", "batches", "ceilings")


class Marketplace(Books):
    """The whole marketplace, for one device."""

    def __init__(self, broker: Broker, names: dict[str, str]) -> None:
        """`names` are the broker's users, with what is kept of their passwords."""
        super().__init__()
        self.broker = broker
        self.is_down = False
        """While true, nothing answers over HTTP."""
        password = new_password()
        names[INGEST] = hash_of(password)
        self.line = MqttLine(
            broker,
            topics=[f"hireling/+/{kind}" for kind in TAKEN],
            announce=silent,
            entry=Named(Credentials(INGEST, password)),
        )
        self._door = Door(self, broker=broker, names=names)
        self.chain = Node(self.opened)

    @property
    def http(self) -> httpx.MockTransport:
        """Return the marketplace's HTTP side."""
        return httpx.MockTransport(self._answer)

    @property
    def node(self) -> httpx.MockTransport:
        """Return the chain's node."""
        return httpx.MockTransport(self.chain.answer)

    def on_line_up(self) -> None: ...

    def on_message(self, topic: str, payload: bytes) -> None:
        """Take readings in, contiguous and durable, or a ceiling."""
        device = topic.split("/")[1]
        if topic.endswith("/ceilings"):
            ceiling = SignedCeiling.model_validate_json(payload)
            rental = self.rentals.get(to_hex(ceiling.ceiling.rental_id))
            if rental is not None:
                rental.take_ceiling(ceiling)
        elif topic.endswith("/batches"):
            for each in ReadingBatch.model_validate_json(payload).readings:
                self.take_reading(device, each)
        else:
            self.take_reading(device, SignedReading.model_validate_json(payload))

    async def publish_due(self) -> None:
        """Publish the acknowledgements and notices that are due."""
        outgoing, self.outgoing = self.outgoing, []
        for topic, payload in outgoing:
            await self.line.publish(topic, payload)

    def _answer(self, request: httpx.Request) -> httpx.Response:
        if self.is_down:
            raise httpx.ConnectError("connection refused")
        return self._door.answer(request)
