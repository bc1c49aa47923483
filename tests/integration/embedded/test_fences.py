"""The embedded broker against clients that do not keep to the rules, and what becomes of the others."""

import asyncio
import struct
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

import pytest
from aiomqtt import Client, MqttError

from hireling.rental.broker_users import INGEST, device_user
from services.embedded import fences, framing
from services.embedded.broker import LONGEST_QUEUE, LocalBroker
from services.embedded.door import RuledDoor
from services.metering.access import hash_of
from services.metering.accounts import Accounts

MINE, OTHERS = (device_user("0x" + pair * 32) for pair in ("1a", "2b"))
READINGS, OTHERS_READINGS = f"hireling/{MINE}/readings", f"hireling/{OTHERS}/readings"
ACKS = f"hireling/{MINE}/acks"
SECONDS = 60.0
CONNACK_OK, CONNACK_REFUSED = b"\x20\x02\x00\x00", b"\x20\x02\x00\x05"


@dataclass
class Place:
    """A broker whose users all have the password `secret`."""

    broker: LocalBroker
    names: dict[str, str] = field(default_factory=dict)

    @asynccontextmanager
    async def client(self, username: str) -> AsyncIterator[Client]:
        """Connect as this user."""
        async with Client("127.0.0.1", self.broker.port, username=username, password="secret") as client:
            yield client


def at_a_broker(journey: Callable[[Place], Awaitable[None]]) -> None:
    """Go a journey at a broker of its own."""

    async def run() -> None:
        names = {name: hash_of("secret") for name in (MINE, OTHERS, INGEST)}
        broker = LocalBroker(host="127.0.0.1", port=0, door=RuledDoor(names, Accounts()))
        await broker.start()
        try:
            async with asyncio.timeout(SECONDS):
                await journey(Place(broker, names))
        finally:
            await broker.shutdown()

    asyncio.run(run())


def text(content: str) -> bytes:
    encoded = content.encode()
    return struct.pack(">H", len(encoded)) + encoded


def packet(first: int, body: bytes) -> bytes:
    size, written = len(body), b""
    while True:
        size, digit = size >> 7, size & 0x7F
        written += bytes([digit | (0x80 if size else 0)])
        if not size:
            return bytes([first]) + written + body


def connect(username: str, password: str, *, client_id: str, is_clean: bool = True) -> bytes:
    """Return a CONNECT."""
    flags = 0xC0 | (2 if is_clean else 0)
    head = text("MQTT") + bytes([4, flags, 0, 60])
    return packet(0x10, head + text(client_id) + text(username) + text(password))


def publish(topic: str, payload: bytes, number: int) -> bytes:
    """Return a PUBLISH of quality 1."""
    return packet(0x32, text(topic) + struct.pack(">H", number) + payload)


@dataclass
class Socket:
    """A bare connection."""

    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter

    @classmethod
    async def open(cls, place: Place) -> "Socket":
        return cls(*await asyncio.open_connection("127.0.0.1", place.broker.port))

    async def say(self, packets: bytes) -> None:
        self.writer.write(packets)
        await self.writer.drain()

    async def hear(self, size: int) -> bytes:
        return await self.reader.readexactly(size)

    async def until_hung_up(self) -> None:
        """Read until the broker has hung up."""
        try:
            while await self.reader.read(65_536):
                continue
        except ConnectionError:
            return

    def close(self) -> None:
        self.writer.close()


async def still_serves(place: Place) -> None:
    """Have a reading pass from a device to the ingest."""
    async with place.client(INGEST) as ingest, place.client(OTHERS) as device:
        await ingest.subscribe("hireling/+/readings", qos=1)
        await device.publish(OTHERS_READINGS, b"7", qos=1)
        async for message in ingest.messages:
            if message.topic.value == OTHERS_READINGS:
                assert message.payload == b"7"
                return


class TestBadPackets:
    @pytest.mark.parametrize(
        "bad",
        [
            b"\x30\xff\xff\xff\x7f",
            b"\x32\x05\x00\xffabc",
            b"\x00\x00",
            b"\x82\x03\x00\x01\x00",
            b"\x82\x08\x00\x01\x00\x20abcd",
            connect(MINE, "secret", client_id="again"),
            b"\xff" * 64,
        ],
        ids=["endless", "topic", "reserved", "subscribe", "filter", "connect", "noise"],
    )
    def test_end_their_sender_s_connection_and_no_other(self, bad: bytes) -> None:
        async def journey(place: Place) -> None:
            client = await Socket.open(place)
            await client.say(connect(MINE, "secret", client_id="bad"))
            assert await client.hear(4) == CONNACK_OK
            await client.say(bad)
            await client.until_hung_up()
            client.close()
            await still_serves(place)

        at_a_broker(journey)

    def test_in_place_of_a_connect_end_it_too_and_leave_room(self) -> None:
        async def journey(place: Place) -> None:
            for bad in (b"GET / HTTP/1.1\r\n\r\n", b"\x10\x02\x00\x00", b"\x10\xff\xff\xff\xff\x7f", b""):
                client = await Socket.open(place)
                await client.say(bad)
                client.writer.write_eof()
                await client.until_hung_up()
                client.close()
            await still_serves(place)
            server = place.broker._servers["default"]
            async with asyncio.timeout(10):
                while server.conn_count:  # noqa: ASYNC110 - amqtt counts a moment after
                    await asyncio.sleep(0.02)

        at_a_broker(journey)

    def test_that_are_too_long_are_refused_and_the_longest_passes(self) -> None:
        async def journey(place: Place) -> None:
            async with place.client(INGEST) as ingest:
                await ingest.subscribe("hireling/+/batches", qos=1)
                await self.send(place, 98_304)
                assert len(bytes((await anext(ingest.messages)).payload)) == 98_304
                with pytest.raises(MqttError):
                    await self.send(place, framing.LARGEST_PACKET_BYTES + 1)
            await still_serves(place)

        at_a_broker(journey)

    async def send(self, place: Place, size: int) -> None:
        """Publish a batch of so many bytes."""
        async with place.client(MINE) as device:
            await device.publish(f"hireling/{MINE}/batches", b"x" * size, qos=1)


class TestWhoConnectsAndSaysNothing:
    def test_is_hung_up_on(self, monkeypatch: pytest.MonkeyPatch) -> None:
        async def journey(place: Place) -> None:
            client = await Socket.open(place)
            await client.until_hung_up()
            client.close()
            await still_serves(place)

        monkeypatch.setattr(framing, "CONNECT_WITHIN_SECONDS", 0.3)
        at_a_broker(journey)


class TestSlowConsumers:
    def test_are_hung_up_on_and_keep_nobody_from_anything(self, monkeypatch: pytest.MonkeyPatch) -> None:
        async def journey(place: Place) -> None:
            deaf = await Socket.open(place)
            await deaf.say(connect(MINE, "secret", client_id="deaf"))
            assert await deaf.hear(4) == CONNACK_OK
            await deaf.say(packet(0x82, b"\x00\x01" + text(ACKS) + b"\x01"))
            assert await deaf.hear(5) == b"\x90\x03\x00\x01\x01"
            async with place.client(INGEST) as ingest:
                for _ in range(80):
                    await ingest.publish(ACKS, b"x" * 60_000, qos=1)
            # It never read: the broker gave up, and what it kept for it is gone.
            async with asyncio.timeout(30):
                while any(  # noqa: ASYNC110 - amqtt forgets a moment after
                    session.username == MINE for session, _ in place.broker.sessions.values()
                ):
                    await asyncio.sleep(0.05)
            deaf.close()
            await still_serves(place)

        monkeypatch.setattr(fences, "UNCONFIRMED_BYTES", 1_000_000)
        at_a_broker(journey)

    def test_that_read_but_never_confirm_are_hung_up_on(self, monkeypatch: pytest.MonkeyPatch) -> None:
        async def journey(place: Place) -> None:
            mute = await Socket.open(place)
            await mute.say(connect(MINE, "secret", client_id="mute"))
            assert await mute.hear(4) == CONNACK_OK
            await mute.say(packet(0x82, b"\x00\x01" + text(ACKS) + b"\x01"))
            reading = asyncio.create_task(mute.until_hung_up())
            async with place.client(INGEST) as ingest:
                for number in range(40):
                    await ingest.publish(ACKS, b"%d" % number, qos=1)
                await reading
            mute.close()
            await still_serves(place)

        monkeypatch.setattr(fences, "UNCONFIRMED_MESSAGES", 20)
        at_a_broker(journey)


class TestAFlood:
    def test_is_taken_in_no_faster_than_it_is_handed_on(self) -> None:
        async def journey(place: Place) -> None:
            flood = await Socket.open(place)
            await flood.say(connect(MINE, "secret", client_id="flood"))
            assert await flood.hear(4) == CONNACK_OK
            sending = asyncio.create_task(
                flood.say(b"".join(publish(READINGS, b"x" * 500, number) for number in range(1, 5_000)))
            )
            most = 0
            async with place.client(INGEST) as ingest:
                await ingest.subscribe("hireling/+/readings", qos=1)
                for _ in range(200):
                    await asyncio.sleep(0)
                    most = max(most, place.broker._broadcast_queue.qsize())
                await still_serves(place)
            assert 0 < most <= LONGEST_QUEUE
            sending.cancel()
            await asyncio.gather(sending, return_exceptions=True)
            flood.close()

        at_a_broker(journey)


class TestAnotherSClientId:
    @pytest.mark.parametrize("is_clean", [True, False], ids=["clean", "kept"])
    def test_gives_a_stranger_nothing_of_its_session(self, is_clean: bool) -> None:
        async def journey(place: Place) -> None:
            victim = await Socket.open(place)
            await victim.say(connect(MINE, "secret", client_id="same"))
            assert await victim.hear(4) == CONNACK_OK
            await victim.say(packet(0x82, b"\x00\x01" + text(ACKS) + b"\x01"))
            assert await victim.hear(5) == b"\x90\x03\x00\x01\x01"
            for username, password in ((MINE, "guessed"), (OTHERS, "secret"), ("nobody", "secret")):
                stranger = await Socket.open(place)
                await stranger.say(connect(username, password, client_id="same", is_clean=is_clean))
                expected = CONNACK_OK if username == OTHERS else CONNACK_REFUSED
                assert await stranger.hear(4) == expected
                stranger.close()
            async with place.client(INGEST) as ingest:
                await ingest.publish(ACKS, b"still yours", qos=1)
                assert (await victim.hear(2 + 2 + len(ACKS) + 2 + 11)).endswith(b"still yours")
            victim.close()

        at_a_broker(journey)

    def test_does_not_turn_its_own_session_into_another_s(self) -> None:
        async def journey(place: Place) -> None:
            thief = await Socket.open(place)
            await thief.say(connect(MINE, "secret", client_id="mine", is_clean=False))
            assert await thief.hear(4) == CONNACK_OK
            again = await Socket.open(place)
            await again.say(connect(OTHERS, "guessed", client_id="mine", is_clean=False))
            assert await again.hear(4) == CONNACK_REFUSED
            async with place.client(INGEST) as ingest:
                await ingest.subscribe("hireling/+/readings", qos=1)
                await thief.say(publish(OTHERS_READINGS, b"forged", 1) + publish(READINGS, b"mine", 2))
                message = await anext(ingest.messages)
                assert (message.topic.value, message.payload) == (READINGS, b"mine")
            thief.close()
            again.close()

        at_a_broker(journey)


class TestExpelling:
    def test_ends_connections_of_those_who_lost_their_password_alone(self) -> None:
        async def journey(place: Place) -> None:
            client = await Socket.open(place)
            await client.say(connect(MINE, "secret", client_id="one"))
            assert await client.hear(4) == CONNACK_OK
            async with place.client(OTHERS) as other:
                del place.names[MINE]
                assert place.broker.expel() == 1
                await client.until_hung_up()
                await other.publish(OTHERS_READINGS, b"7", qos=1)
                assert place.broker.expel() == 0
            client.close()

        at_a_broker(journey)
