"""One connection to the MQTT broker, from CONNECT to its end.

What arrives is acknowledged by whoever took it, when it is durable, and never before: a message in hand is
one the broker still keeps. So the broker holds back what we cannot take, and what we hold is bounded: by the
receive maximum of MQTT 5, and in any version by reading no more from the socket.
"""

import asyncio
import secrets
import ssl
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress

from services.chassis import mqtt_packets as mqtt
from services.chassis.mqtt_packets import Confirmed, Connected, Delivery, Disconnected, Packet, Version
from services.chassis.mqtt_settings import MqttSettings

CONNECT_SECONDS = 5.0
# A broker that knows only the version before may wait for ever for the rest of a packet that it misreads.
OTHER_VERSION_SECONDS = 1.0
CONFIRM_SECONDS = 60.0
KEEPALIVE_SECONDS = 20
# How many of our own messages may wait for the broker's word at once, where it does not ask for fewer.
PUBLISHING_WINDOW = 500

# A topic and a payload, and perhaps the correlation data of what it answers.
Message = tuple[str, bytes] | tuple[str, bytes, bytes]


class BrokerLost(Exception):
    """There is no connection to the broker, or not any more."""


async def open_line(
    settings: MqttSettings, *, most_in_hand: int, most_bytes_in_hand: int, versions: Sequence[Version]
) -> "BrokerLine":
    """Connect by the first of these versions that the broker takes us by.

    Raises BrokerLost.
    """
    for version in versions:
        last = version is versions[-1]
        line = BrokerLine(version, most_in_hand=most_in_hand, most_bytes_in_hand=most_bytes_in_hand)
        try:
            async with asyncio.timeout(CONNECT_SECONDS if last else OTHER_VERSION_SECONDS):
                await line.connect(settings)
        except (OSError, BrokerLost) as error:  # a TimeoutError is an OSError
            line.abort()
            if last:
                reason = str(error) or "it does not answer"
                raise BrokerLost(f"broker {settings.host}:{settings.port}: {reason}") from error
        else:
            return line
    raise ValueError("no version of MQTT to try")


class BrokerLine(asyncio.Protocol):
    """Receives, acknowledges and publishes. Made by `open_line`."""

    def __init__(self, version: Version, *, most_in_hand: int, most_bytes_in_hand: int) -> None:
        self.version = version
        self.refused = 0
        """How many of our messages the broker took no further."""
        self._most_in_hand, self._most_bytes_in_hand = most_in_hand, most_bytes_in_hand
        self._decoder = mqtt.Decoder(version)
        self._transport: asyncio.Transport | None = None
        self._greeting: asyncio.Future[Connected] = asyncio.get_running_loop().create_future()
        self._reason: str | None = None
        self._ended = asyncio.Event()
        self._news, self._progress, self._writable = asyncio.Event(), asyncio.Event(), asyncio.Event()
        self._writable.set()
        self._arrived: list[Delivery] = []
        self._in_hand = self._bytes_in_hand = 0
        self._holds = False
        self._window = PUBLISHING_WINDOW
        self._unconfirmed: set[int] = set()
        self._asked: dict[int, asyncio.Future[Confirmed]] = {}
        self._last_id = 0
        self._heard_at = 0.0
        self._keepalive: asyncio.Task[None] | None = None

    async def connect(self, settings: MqttSettings) -> None:
        """Open the connection and a session. Raises BrokerLost, OSError."""
        loop = asyncio.get_running_loop()
        context = ssl.create_default_context() if settings.encrypted else None
        await loop.create_connection(lambda: self, settings.host, settings.port, ssl=context)
        username, password = settings.credentials
        self._write(
            mqtt.connect(
                self.version,
                client_id=f"hireling-{secrets.token_hex(8)}",
                keepalive_seconds=KEEPALIVE_SECONDS,
                receive_maximum=min(self._most_in_hand, mqtt.LARGEST_PACKET_ID),
                username=username,
                password=password,
            )
        )
        greeting = await self._greeting
        if greeting.reason:
            raise BrokerLost(f"it refuses the connection: reason {greeting.reason:#x}")
        self._window = min(PUBLISHING_WINDOW, greeting.receive_maximum)
        self._keepalive = asyncio.create_task(
            self._keep_alive(greeting.keepalive_seconds or KEEPALIVE_SECONDS), name="mqtt keepalive"
        )

    async def subscribe(self, topics: Sequence[str]) -> None:
        """Subscribe at QoS 1. Raises BrokerLost, also where the broker refuses."""
        confirmed = await self._ask(lambda number: mqtt.subscribe(self.version, number, topics))
        if confirmed.is_refusal:
            raise BrokerLost(f"the broker refuses a subscription among {', '.join(topics)}")

    async def unsubscribe(self, topics: Sequence[str]) -> None:
        """Ask for no more of these. Raises BrokerLost."""
        await self._ask(lambda number: mqtt.unsubscribe(self.version, number, topics))

    async def arrivals(self) -> list[Delivery]:
        """Wait for messages, and return all that are here, in order. Raises BrokerLost."""
        while not self._arrived:
            await self._until(self._news)
        arrived, self._arrived = self._arrived, []
        return arrived

    @property
    def has_arrivals(self) -> bool:
        """Return whether messages are here that nobody has taken yet."""
        return bool(self._arrived)

    def acknowledge(self, deliveries: Iterable[Delivery]) -> None:
        """Tell the broker that these, the oldest in hand, need not be sent again."""
        packet_ids = []
        for delivery in deliveries:
            self._in_hand -= 1
            self._bytes_in_hand -= len(delivery.payload)
            if delivery.packet_id:
                packet_ids.append(delivery.packet_id)
        if self._transport is None or self._ended.is_set():
            return
        self._write(mqtt.pubacks(packet_ids))
        if not self._holds and not self._is_full and not self._transport.is_reading():
            self._heard_at = asyncio.get_running_loop().time()
            self._transport.resume_reading()

    def hold(self) -> None:
        """Read no more, for good: what the broker has not handed over yet is its own."""
        self._holds = True
        if self._transport is not None and not self._ended.is_set():
            self._transport.pause_reading()

    async def publish(self, messages: Sequence[Message]) -> None:
        """Publish at QoS 1, and return when the broker has confirmed all of them. Raises BrokerLost."""
        sent = last = 0
        while sent < len(messages):
            self._check_alive()
            room = self._window - len(self._unconfirmed)
            if room <= 0:
                await self._until(self._progress)
                continue
            await self._writable.wait()
            some = messages[sent : sent + room]
            last, sent = self._send(some), sent + len(some)
        # A broker confirms in the order of sending.
        while last in self._unconfirmed:
            await self._until(self._progress)

    async def until_lost(self) -> None:
        """Wait for the end of the connection. Raises BrokerLost."""
        await self._ended.wait()
        self._check_alive()

    async def close(self) -> None:
        """Hang up in good order."""
        if self._transport is not None and not self._ended.is_set():
            self._write(mqtt.disconnect())
            self._transport.close()
            with suppress(TimeoutError):
                async with asyncio.timeout(CONNECT_SECONDS):
                    await self._ended.wait()
        self.abort()

    def abort(self) -> None:
        """Hang up at once."""
        if self._transport is not None:
            self._transport.abort()

    # What asyncio calls.

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Note the connection."""
        assert isinstance(transport, asyncio.Transport)  # noqa: S101 - for the types
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        """Take in what came."""
        self._heard_at = asyncio.get_running_loop().time()
        try:
            packets = self._decoder.feed(data)
        except mqtt.ProtocolError as error:
            self._end(str(error))
            self.abort()
            return
        for packet in packets:
            if type(packet) is Delivery:
                self._arrived.append(packet)
                self._in_hand += 1
                self._bytes_in_hand += len(packet.payload)
            else:
                self._hear(packet)
        if self._arrived:
            self._news.set()
        if self._is_full and self._transport is not None:
            self._transport.pause_reading()

    def pause_writing(self) -> None:
        """Hold publications back: the broker takes bytes more slowly than we write them."""
        self._writable.clear()

    def resume_writing(self) -> None:
        """Publish on."""
        self._writable.set()

    def connection_lost(self, error: Exception | None) -> None:
        """Wake everybody who waits."""
        self._end(f"the connection ended: {error or 'the broker hung up'}")

    @property
    def _is_full(self) -> bool:
        return self._in_hand >= self._most_in_hand or self._bytes_in_hand >= self._most_bytes_in_hand

    def _hear(self, packet: Packet) -> None:
        if isinstance(packet, Confirmed):
            if packet.kind == mqtt.PUBACK:
                self._unconfirmed.discard(packet.packet_id)
                self.refused += packet.is_refusal
                self._progress.set()
            elif (asked := self._asked.pop(packet.packet_id, None)) is not None and not asked.done():
                asked.set_result(packet)
        elif isinstance(packet, Connected):
            if not self._greeting.done():
                self._greeting.set_result(packet)
        elif isinstance(packet, Disconnected):
            self._end(f"the broker hangs up: reason {packet.reason:#x}")

    def _end(self, reason: str) -> None:
        if self._reason is None:
            self._reason = reason
        self._ended.set()
        if self._keepalive is not None:
            self._keepalive.cancel()
        if not self._greeting.done():
            self._greeting.set_exception(BrokerLost(reason))
        for asked in self._asked.values():
            if not asked.done():
                asked.set_exception(BrokerLost(reason))
        for event in (self._news, self._progress, self._writable):
            event.set()

    def _check_alive(self) -> None:
        if self._ended.is_set():
            raise BrokerLost(self._reason)

    async def _until(self, event: asyncio.Event) -> None:
        self._check_alive()
        event.clear()
        try:
            async with asyncio.timeout(CONFIRM_SECONDS if event is self._progress else None):
                await event.wait()
        except TimeoutError as error:
            raise BrokerLost(f"the broker confirmed nothing for {CONFIRM_SECONDS:.0f} s") from error
        self._check_alive()

    async def _ask(self, packet: Callable[[int], bytes]) -> Confirmed:
        self._check_alive()
        number = self._next_id()
        answer: asyncio.Future[Confirmed] = asyncio.get_running_loop().create_future()
        self._asked[number] = answer
        self._write(packet(number))
        try:
            async with asyncio.timeout(CONFIRM_SECONDS):
                return await answer
        except TimeoutError as error:
            raise BrokerLost(f"the broker did not answer for {CONFIRM_SECONDS:.0f} s") from error

    def _send(self, messages: Sequence[Message]) -> int:
        """Write messages, and return the packet id of the last."""
        packets = []
        for message in messages:
            number = self._next_id()
            self._unconfirmed.add(number)
            topic, payload, *more = message
            correlation = more[0] if more else b""
            packets.append(mqtt.publish(self.version, number, topic, payload, correlation=correlation))
        self._write(b"".join(packets))
        return self._last_id

    def _next_id(self) -> int:
        self._last_id = self._last_id % mqtt.LARGEST_PACKET_ID + 1
        while self._last_id in self._unconfirmed or self._last_id in self._asked:
            self._last_id = self._last_id % mqtt.LARGEST_PACKET_ID + 1
        return self._last_id

    def _write(self, data: bytes) -> None:
        if self._transport is not None:
            self._transport.write(data)

    async def _keep_alive(self, seconds: int) -> None:
        while True:
            await asyncio.sleep(seconds / 2)
            self._write(mqtt.PINGREQ)
            paused = self._transport is not None and not self._transport.is_reading()
            if not paused and asyncio.get_running_loop().time() - self._heard_at > seconds * 1.5:
                self._end(f"nothing heard for {seconds * 1.5:.0f} s")
                self.abort()
