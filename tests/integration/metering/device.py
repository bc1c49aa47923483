"""A device on the line.

It publishes readings, hears what comes back, and sends again what is not acknowledged.
"""

import asyncio
import json
from collections import defaultdict
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any
from urllib.parse import unquote, urlsplit

from aiomqtt import Client
from aiomqtt.exceptions import MqttConnectError
from pydantic import BaseModel

from hireling.rental.encoding import from_cbor, is_cbor
from hireling.rental.reading import SignedReading
from tests.integration.metering.lines import Lines

IN_FLIGHT = 8
SILENCE_SECONDS = 1.0
# Processes start slowly while other tests keep both cores busy.
WITHIN_SECONDS = 120.0
LOOK_SECONDS = 0.1
RENTERS = frozenset({"ceilings", "unlock/ask", "unlock/answer"})


class Device:
    """What one device publishes and hears."""

    def __init__(self, client: Client, device: str, renter: Client) -> None:
        self._client = client
        self._renter = renter
        self._device = device
        self._news = asyncio.Condition()
        self.heard: dict[str, list[dict[str, Any]]] = defaultdict(list)
        """What came, by the last word of its topic."""

    @property
    def acked(self) -> int:
        """Return the highest acknowledged number, -1 for none."""
        return max((int(ack["seq"]) for ack in self.heard["acks"]), default=-1)

    async def listen(self) -> None:
        """Hear what comes, for ever."""
        async for message in self._client.messages:
            payload = bytes(message.payload)
            values = from_cbor(payload) if is_cbor(payload) else json.loads(payload)
            self.heard[message.topic.value.rsplit("/")[-1]].append(values)
            async with self._news:
                self._news.notify_all()

    async def until(self, condition: Callable[[], bool]) -> None:
        """Wait until the condition holds, looking whenever something is heard."""
        async with asyncio.timeout(WITHIN_SECONDS), self._news:
            await self._news.wait_for(condition)

    async def until_acked(self, seq: int) -> None:
        """Wait until this number, or a higher one, is acknowledged. Raises TimeoutError."""
        await self.until(lambda: self.acked >= seq)

    async def publish(self, content: BaseModel | bytes, *, word: str = "readings") -> None:
        """Publish on one of the device's topics; what is the renter's to say goes over the renter's line."""
        payload = content if isinstance(content, bytes) else content.model_dump_json()
        client = self._renter if word in RENTERS else self._client
        await client.publish(f"hireling/{self._device}/{word}", payload, qos=1)

    async def send(self, readings: Sequence[SignedReading]) -> None:
        """Publish readings, a few at a time."""
        for start in range(0, len(readings), IN_FLIGHT):
            await asyncio.gather(*map(self.publish, readings[start : start + IN_FLIGHT]))

    async def deliver(self, readings: Sequence[SignedReading]) -> None:
        """Publish a whole log, and what is not acknowledged again, until all of it is."""
        last = readings[-1].reading.seq
        async with asyncio.timeout(WITHIN_SECONDS):
            while self.acked < last:
                await self.send([signed for signed in readings if signed.reading.seq > self.acked])
                try:
                    async with asyncio.timeout(SILENCE_SECONDS), self._news:
                        await self._news.wait_for(lambda: self.acked >= last)
                except TimeoutError:
                    continue


@asynccontextmanager
async def connected(url: str) -> AsyncIterator[Client]:
    """Connect by the name in an address, once the broker has learnt of it."""
    address = urlsplit(url)
    names = [unquote(name) if name else None for name in (address.username, address.password)]
    async with AsyncExitStack() as hung_up, asyncio.timeout(WITHIN_SECONDS) as patience:
        while True:
            client = Client(str(address.hostname), address.port or 1883, username=names[0], password=names[1])
            try:
                await hung_up.enter_async_context(client)
            except MqttConnectError:
                await asyncio.sleep(LOOK_SECONDS)
            else:
                break
        patience.reschedule(None)
        yield client


@asynccontextmanager
async def on_the_line(lines: Lines, device: str) -> AsyncIterator[Device]:
    """Connect a device, and who rents it, for the length of a block."""
    async with (
        connected(lines.device) as client,
        connected(lines.renter) as renter,
        asyncio.TaskGroup() as tasks,
    ):
        client.pending_calls_threshold = 1_000
        for word in ("acks", "refusals", "notices", "ceilings"):
            await client.subscribe(f"hireling/{device}/{word}", qos=1)
        on_line = Device(client, device, renter)
        listening = tasks.create_task(on_line.listen())
        yield on_line
        listening.cancel()
