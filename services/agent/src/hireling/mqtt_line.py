"""The line to the broker.

It reconnects for ever, says when it is up, and never holds anybody up while it is down.

The one door to aiomqtt in the agents. Nothing is queued here: what must arrive is kept by whoever sends it,
and sent again.
"""

import asyncio
import contextlib
import random
import ssl
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Protocol
from urllib.parse import urlsplit

from aiomqtt import Client, MqttError, Topic
from aiomqtt.exceptions import MqttConnectError

from hireling.announce import Announce

QOS_AT_LEAST_ONCE = 1
CONNECT_SECONDS = 5.0
PUBLISH_SECONDS = 5.0
FIRST_PAUSE_SECONDS = 0.25
LONGEST_PAUSE_SECONDS = 10.0
KEEPALIVE_SECONDS = 20
STRANGERS_STAY_OUT = "the broker lets nobody in without a name"
SCHEMES = {"mqtt": 1883, "mqtts": 8883}
# What SUBACK says of a topic that the user may not hear (MQTT 3.1.1, 3.9.3).
TOPIC_REFUSED = 0x80
# CONNACK's words for a wrong name or password, of MQTT 3.1.1 and 5.
NOT_LET_IN = frozenset({4, 5, 134, 135})


class LineDown(Exception):
    """The broker cannot be reached, or did not confirm in time; the message may or may not have arrived."""


@dataclass(frozen=True)
class Broker:
    """Where the broker listens, and whether it speaks TLS."""

    host: str
    port: int
    tls: bool = False

    @property
    def address(self) -> str:
        """Return the broker's address in one word."""
        return f"mqtt{'s' if self.tls else ''}://{self.host}:{self.port}"

    @classmethod
    def at(cls, url: str) -> "Broker":
        """Return the broker at ``mqtt://host:port``, or ``mqtts://``. Raises ValueError."""
        address = urlsplit(url)
        if address.scheme not in SCHEMES or not address.hostname:
            raise ValueError(f"a broker is named mqtt://host:port or mqtts://host:port, not {url}")
        port = address.port or SCHEMES[address.scheme]
        return cls(host=address.hostname, port=port, tls=address.scheme == "mqtts")


@dataclass(frozen=True)
class Credentials:
    """A name and a password, for a while."""

    username: str
    password: str = field(repr=False)


class NotLetIn(Exception):
    """There is no name to enter the broker with now; the message says why."""


class Entry(Protocol):
    """Who gets the names to enter the broker with."""

    async def credentials(self) -> Credentials:
        """Return a name and its password. Raises NotLetIn."""
        ...

    def note_refused(self) -> bool:
        """Hear that the broker did not take the last ones; return whether that is no surprise, for now."""
        ...

    async def keep_fresh(self) -> None:
        """Get new ones in time, until cancelled; the next connection uses them."""
        ...


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
        entry: Entry | None = None,
    ) -> None:
        """Without an ``entry`` it connects without a name."""
        self._broker = broker
        self._entry = entry
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
        said = ""
        while True:
            try:
                await self._serve_one_connection(listener)
            except (MqttError, NotLetIn) as error:
                this = asyncio.current_task()
                if this is not None and this.cancelling():
                    # Hanging up failed, and aiomqtt's complaint took the place of the cancellation.
                    raise asyncio.CancelledError from error
                reason = self._reason_of(error)
                if reason and (self.is_up or reason != said):
                    self._announce("broker_lost", reason=reason)
                said = reason
                is_soon = self.is_up or not reason
                pause = FIRST_PAUSE_SECONDS if is_soon else min(pause * 2, LONGEST_PAUSE_SECONDS)
            finally:
                self._up.clear()
                self._client = None
            # Jittered, so that a restarted broker is not met by every machine at once.
            await asyncio.sleep(pause * random.uniform(0.5, 1.0))

    async def _serve_one_connection(self, listener: Listener) -> None:
        async with contextlib.AsyncExitStack() as hung_up:
            client = await hung_up.enter_async_context(await self._new_client())
            if self._entry is not None:
                fresh = asyncio.create_task(self._entry.keep_fresh())
                hung_up.callback(fresh.cancel)
            for topic in self._topics:
                granted = await client.subscribe(topic, qos=QOS_AT_LEAST_ONCE)
                if any(_code(each) >= TOPIC_REFUSED for each in granted):
                    raise NotLetIn(f"the broker refuses the topic {topic}")
            self._client = client
            self.connections += 1
            self._up.set()
            self._announce("broker_connected", host=self._broker.host, port=self._broker.port)
            listener.on_line_up()
            async for message in client.messages:
                listener.on_message(_name(message.topic), _bytes(message.payload))

    async def _new_client(self) -> Client:
        names = await self._entry.credentials() if self._entry is not None else None
        return Client(
            self._broker.host,
            self._broker.port,
            username=names.username if names else None,
            password=names.password if names else None,
            tls_context=ssl.create_default_context() if self._broker.tls else None,
            timeout=CONNECT_SECONDS,
            keepalive=KEEPALIVE_SECONDS,
        )

    def _reason_of(self, error: MqttError | NotLetIn) -> str:
        """Return what to tell people, nothing where the next try is expected to do."""
        if not isinstance(error, MqttConnectError) or _code(error.rc) not in NOT_LET_IN:
            return str(error)
        if self._entry is None:
            return STRANGERS_STAY_OUT
        return "" if self._entry.note_refused() else "the broker does not take the name it was told of"


def _code(answer: object) -> int:
    """Return the number of an answer; MQTT 5's are objects."""
    return answer if isinstance(answer, int) else int(getattr(answer, "value", 0))


def _name(topic: Topic) -> str:
    return topic.value


def _bytes(payload: object) -> bytes:
    return bytes(payload) if isinstance(payload, bytes | bytearray) else str(payload).encode()


def topic_of(device: bytes, word: str) -> str:
    """Return a device's topic: ``hireling/<0x device id>/<word>``."""
    return f"hireling/0x{device.hex()}/{word}"
