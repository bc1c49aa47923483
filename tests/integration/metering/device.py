"""A device on the line.

It publishes readings, hears what comes back, and sends again what is not acknowledged.
"""

import asyncio
import json
from collections import defaultdict
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from typing import Any
from urllib.parse import urlsplit

from aiomqtt import Client
from pydantic import BaseModel

from hireling.rental.encoding import from_cbor, is_cbor
from hireling.rental.reading import SignedReading

IN_FLIGHT = 8
SILENCE_SECONDS = 1.0
# Processes start slowly while other tests keep both cores busy.
WITHIN_SECONDS = 120.0


class Device:
    """What one device publishes and hears."""

    def __init__(self, client: Client, device: str) -> None:
        self._client = client
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
        """Publish on one of the device's topics."""
        payload = content if isinstance(content, bytes) else content.model_dump_json()
        await self._client.publish(f"hireling/{self._device}/{word}", payload, qos=1)

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
async def on_the_line(mqtt_url: str, device: str) -> AsyncIterator[Device]:
    """Connect a device for the length of a block."""
    address = urlsplit(mqtt_url)
    async with Client(str(address.hostname), address.port or 1883) as client, asyncio.TaskGroup() as tasks:
        client.pending_calls_threshold = 1_000
        for word in ("acks", "refusals", "notices", "ceilings"):
            await client.subscribe(f"hireling/{device}/{word}", qos=1)
        connected = Device(client, device)
        listening = tasks.create_task(connected.listen())
        yield connected
        listening.cancel()
