"""The line to the broker.

It reconnects for ever, says when it is up, and never holds anybody up while it is down.

The one door to aiomqtt in the agents. Nothing is queued here: what must arrive is kept by whoever sends it,
and sent again.
"""

import asyncio
import random
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol
from urllib.parse import urlsplit

from aiomqtt import Client, MqttError, Topic

from hireling.announce import Announce

QOS_AT_LEAST_ONCE = 1
CONNECT_SECONDS = 5.0
PUBLISH_SECONDS = 5.0
FIRST_PAUSE_SECONDS = 0.25
LONGEST_PAUSE_SECONDS = 10.0
KEEPALIVE_SECONDS = 20


class LineDown(Exception):
    """The broker cannot be reached, or did not confirm in time; the message may or may not have arrived."""


@dataclass(frozen=True)
class Broker:
    """Where the broker listens."""

    host: str
    port: int

    @classmethod
    def at(cls, url: str) -> "Broker":
        """Return the broker at ``mqtt://host:port``. Raises ValueError."""
        address = urlsplit(url)
        if address.scheme != "mqtt" or not address.hostname:
            raise ValueError(f"a broker is named mqtt://host:port, not {url}")
        return cls(host=address.hostname, port=address.port or 1883)


class Listener(Protocol):
    """Who hears what comes over the line; neither call may block."""

    def on_message(self, topic: str, payload: bytes) -> None:
        """Take in a message."""
        ...

    def on_line_up(self) -> None:
        """Note that the line is up, and that what was sent before may be lost."""
        ...


class MqttLine:
    """One connection at a time, made again whenever it breaks."""

    def __init__(
        self,
        broker: Broker,
        *,
        topics: Sequence[str],
        announce: Announce,
    ) -> None:
        self._broker = broker
        self._topics = tuple(topics)
        self._announce = announce
        self._client: Client | None = None
        self._up = asyncio.Event()
        self.connections = 0
        """How often the line came up: a change tells a sender that what it sent last may be lost."""

    @property
    def is_up(self) -> bool:
        """Return whether the broker is connected and the topics are subscribed."""
        return self._up.is_set()

    async def wait_up(self) -> None:
        """Wait until the line is up."""
        await self._up.wait()

    async def publish(self, topic: str, payload: str | bytes) -> None:
        """Publish at QoS 1 and wait for the broker's confirmation. Raises LineDown."""
        client = self._client
        if client is None:
            raise LineDown(f"no connection to the broker {self._broker.host}:{self._broker.port}")
        try:
            await client.publish(topic, payload, qos=QOS_AT_LEAST_ONCE, timeout=PUBLISH_SECONDS)
        except MqttError as error:
            raise LineDown(f"the broker did not confirm: {error}") from error

    async def run(self, listener: Listener) -> None:
        """Keep the line up until cancelled."""
        pause = FIRST_PAUSE_SECONDS
        while True:
            try:
                await self._serve_one_connection(listener)
            except MqttError as error:
                this = asyncio.current_task()
                if this is not None and this.cancelling():
                    # Hanging up failed, and aiomqtt's complaint took the place of the cancellation.
                    raise asyncio.CancelledError from error
                if self.is_up or pause == FIRST_PAUSE_SECONDS:
                    self._announce("broker_lost", reason=str(error))
                pause = FIRST_PAUSE_SECONDS if self.is_up else min(pause * 2, LONGEST_PAUSE_SECONDS)
            finally:
                self._up.clear()
                self._client = None
            # Jittered, so that a restarted broker is not met by every machine at once.
            await asyncio.sleep(pause * random.uniform(0.5, 1.0))

    async def _serve_one_connection(self, listener: Listener) -> None:
        client = Client(
            self._broker.host, self._broker.port, timeout=CONNECT_SECONDS, keepalive=KEEPALIVE_SECONDS
        )
        async with client:
            for topic in self._topics:
                await client.subscribe(topic, qos=QOS_AT_LEAST_ONCE)
            self._client = client
            self.connections += 1
            self._up.set()
            self._announce("broker_connected", host=self._broker.host, port=self._broker.port)
            listener.on_line_up()
            async for message in client.messages:
                listener.on_message(_name(message.topic), _bytes(message.payload))


def _name(topic: Topic) -> str:
    return topic.value


def _bytes(payload: object) -> bytes:
    return bytes(payload) if isinstance(payload, bytes | bytearray) else str(payload).encode()


def topic_of(device: bytes, word: str) -> str:
    """Return a device's topic: ``hireling/<0x device id>/<word>``."""
    return f"hireling/0x{device.hex()}/{word}"
