"""A client's stream, packet by packet: what is too long, wrong or silent ends it."""

import asyncio
import struct
from collections.abc import Awaitable, Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.embedded.framing import LARGEST_PACKET_BYTES, MESSAGES_AT_ONCE, WholePackets

CONNECT = b"\x10\x10\x00\x04MQTT\x04\x02\x00\x3c\x00\x04some"
PING = b"\xc0\x00"


def message(
    topic: bytes = b"t", payload: bytes = b"", *, first: int = 0x32, number: bytes = b"\0\1"
) -> bytes:
    """Return a PUBLISH."""
    body = struct.pack(">H", len(topic)) + topic + number + payload
    return bytes([first]) + length(len(body)) + body


def length(size: int) -> bytes:
    """Return a packet's length as MQTT writes it."""
    written = b""
    while True:
        size, digit = size >> 7, size & 0x7F
        written += bytes([digit | (0x80 if size else 0)])
        if not size:
            return written


def read_as(
    journey: Callable[[WholePackets, asyncio.StreamReader], Awaitable[None]], *sent: bytes, ended: bool = True
) -> None:
    """Read what was sent."""

    async def run() -> None:
        stream = asyncio.StreamReader()
        for piece in sent:
            stream.feed_data(piece)
        if ended:
            stream.feed_eof()
        async with asyncio.timeout(30):
            await journey(WholePackets(stream), stream)

    asyncio.run(run())


def reason_of(*sent: bytes) -> str:
    """Return why the stream was ended."""
    found: list[str] = []

    async def journey(packets: WholePackets, _: asyncio.StreamReader) -> None:
        while await packets.read(1):
            continue
        found.append(packets.reason)

    read_as(journey, *sent)
    return found[0]


class TestAGoodStream:
    def test_is_read_as_it_came(self) -> None:
        async def journey(packets: WholePackets, _: asyncio.StreamReader) -> None:
            read = b""
            while taken := await packets.read(1):
                read += taken
            assert read == CONNECT + message(payload=b"x" * 300) + PING
            assert packets.reason == ""

        read_as(journey, CONNECT + message(payload=b"x" * 300) + PING)

    @given(cuts=st.lists(st.integers(min_value=1, max_value=40), max_size=20))
    def test_may_come_in_any_pieces(self, cuts: list[int]) -> None:
        whole, pieces = CONNECT + message(payload=b"x" * 200) + PING, []
        rest = whole
        for cut in cuts:
            pieces.append(rest[:cut])
            rest = rest[cut:]

        async def journey(packets: WholePackets, _: asyncio.StreamReader) -> None:
            read = b""
            while taken := await packets.read(1):
                read += taken
            assert read == whole

        read_as(journey, *pieces, rest)


class TestABadStream:
    @pytest.mark.parametrize(
        ("sent", "word"),
        [
            (b"\x10" + length(LARGEST_PACKET_BYTES + 1), "bytes, at most"),
            (b"\x10\xff\xff\xff\xff\x01", "more than four bytes"),
            (PING, "connects first"),
            (CONNECT + CONNECT, "connects first"),
            (CONNECT + b"\x00\x00", "kind 0"),
            (CONNECT + b"\xf0\x00", "kind 15"),
            (CONNECT + b"\x20\x02\x00\x00", "kind 2"),
            (CONNECT + b"\x80\x06\x00\x01\x00\x01t\x01", "flags 0"),
            (CONNECT + message(first=0x36), "quality 3"),
            (CONNECT + b"\x32\x04\x00\x09tt", "without a topic or number"),
            (CONNECT + message(topic=b""), "without a topic or number"),
            (CONNECT + message(number=b"\0\0"), "number 0"),
            (CONNECT + message(topic=b"\xff\xfe"), "not UTF-8"),
            (CONNECT + message(topic=b"a\0b"), "NUL"),
            (CONNECT + b"\xc0\x01x", "kind 12 with 1 bytes"),
            (CONNECT + b"\x40\x03\x00\x01x", "kind 4 with 3 bytes"),
        ],
    )
    def test_ends_and_says_why(self, sent: bytes, word: str) -> None:
        assert word in reason_of(sent)

    def test_that_asks_for_more_than_a_packet_has_ends(self) -> None:
        async def journey(packets: WholePackets, _: asyncio.StreamReader) -> None:
            assert await packets.read(2) == CONNECT[:2]
            assert await packets.read(1_000) == b""
            assert await packets.read(1) == b""
            assert "contradicts" in packets.reason

        read_as(journey, CONNECT + PING)

    @given(noise=st.binary(max_size=200))
    def test_of_noise_ends_without_an_error(self, noise: bytes) -> None:
        reason_of(CONNECT, noise)

    def test_that_claims_much_takes_no_memory_for_it(self) -> None:
        assert "at most" in reason_of(CONNECT + b"\x30" + length(200 * 1024 * 1024))


class TestASilentStream:
    def test_ends_where_nobody_connects(self) -> None:
        async def journey(packets: WholePackets, _: asyncio.StreamReader) -> None:
            packets.silence_seconds = 0.05
            assert await packets.read(1) == b""
            assert "silent" in packets.reason

        read_as(journey, ended=False)

    def test_ends_after_one_and_a_half_times_what_was_promised(self) -> None:
        async def journey(packets: WholePackets, _: asyncio.StreamReader) -> None:
            packets.promise(60)
            assert packets.silence_seconds == 90
            packets.promise(0)
            assert packets.silence_seconds is None

        read_as(journey)

    def test_ends_in_the_middle_of_a_packet(self) -> None:
        async def journey(packets: WholePackets, _: asyncio.StreamReader) -> None:
            packets.silence_seconds = 0.05
            assert await packets.read(1) == b""

        read_as(journey, CONNECT[:5], ended=False)


class TestRoom:
    def test_is_for_so_many_messages_that_nobody_handed_on(self) -> None:
        async def journey(packets: WholePackets, _: asyncio.StreamReader) -> None:
            packets.promise(0)
            assert await packets.read(len(CONNECT)) == CONNECT
            one = message()
            for _number in range(MESSAGES_AT_ONCE):
                assert await packets.read(len(one)) == one
            waiting = asyncio.create_task(packets.read(1))
            await asyncio.sleep(0)
            await asyncio.sleep(0)
            assert not waiting.done()
            packets.room.release()
            assert await waiting == one[:1]

        read_as(journey, CONNECT, *[message()] * (MESSAGES_AT_ONCE + 1))
