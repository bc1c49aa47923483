"""What amqtt reads, a whole packet at a time and within bounds.

amqtt reads as many bytes as a packet says it has (up to 256 MB, into memory), goes on in the middle of
nowhere after one that it does not understand, never hangs up on a client that fell silent, and takes in as
fast as a client sends. Here a packet is read whole before amqtt sees it; one that is too long or wrong in
itself, or a client that is silent for too long, ends the stream; and no more messages are read than there
is room for.
"""

import asyncio

from amqtt.adapters import ReaderAdapter

LARGEST_PACKET_BYTES = 256 * 1024
# Each is handed on before the next is read, but for so many.
MESSAGES_AT_ONCE = 64
CONNECT_WITHIN_SECONDS = 10.0
# A client may be silent for one and a half times what it promised (MQTT 3.1.1, 3.1.2.10).
GRACE = 1.5
LONGEST_LENGTH_BYTES = 4
CONNECT, PUBLISH, PUBACK, PUBREC, PUBREL, PUBCOMP = 1, 3, 4, 5, 6, 7
SUBSCRIBE, UNSUBSCRIBE, PINGREQ, DISCONNECT = 8, 10, 12, 14
# What a client may send, with which flags (MQTT 3.1.1, table 2.2; a PUBLISH's are its own) and how long.
FLAGS = {
    CONNECT: 0, PUBACK: 0, PUBREC: 0, PUBREL: 2, PUBCOMP: 0, SUBSCRIBE: 2, UNSUBSCRIBE: 2, PINGREQ: 0,
    DISCONNECT: 0,
}  # fmt: skip
SHORTEST = {PUBLISH: 3, PUBACK: 2, PUBREC: 2, PUBREL: 2, PUBCOMP: 2, SUBSCRIBE: 6, UNSUBSCRIBE: 5}
LONGEST = {PUBACK: 2, PUBREC: 2, PUBREL: 2, PUBCOMP: 2, PINGREQ: 0, DISCONNECT: 0}


class BadPacket(Exception):
    """A packet that no client may send."""


class WholePackets(ReaderAdapter):
    """A client's stream as amqtt reads it, packet by packet."""

    def __init__(self, stream: asyncio.StreamReader) -> None:
        self._stream = stream
        self._packet = b""
        self._place = 0
        self._over = False
        self._is_connected = False
        self.silence_seconds: float | None = CONNECT_WITHIN_SECONDS
        """How long may pass without a packet; None for ever."""
        self.room = asyncio.Semaphore(MESSAGES_AT_ONCE)
        """Room for messages that are not handed on yet: whoever hands one on releases it."""
        self.reason = ""
        """Why the stream was ended, where the client is to blame."""

    @property
    def is_read_up(self) -> bool:
        """Return whether everything of the last packet was read."""
        return self._place == len(self._packet)

    def promise(self, keep_alive: int) -> None:
        """Note for how many seconds the client promised to be silent at most; 0 for no promise."""
        self.silence_seconds = keep_alive * GRACE if keep_alive else None

    async def read(self, n: int = -1) -> bytes:
        """Return the next bytes of a packet, fewer than asked for where it has no more, none at the end."""
        if self.is_read_up and not await self._next_packet():
            return b""
        end = len(self._packet) if n < 0 else self._place + n
        taken = self._packet[self._place : end]
        if n > len(taken):
            # It says it is longer than it is: what follows would be read as something else.
            self._end("a packet contradicts its own length")
            return b""
        self._place += len(taken)
        return taken

    def feed_eof(self) -> None:
        """End the stream."""
        self._end("")

    def _end(self, reason: str) -> None:
        self._over, self.reason = True, self.reason or reason
        self._packet, self._place = b"", 0

    async def _next_packet(self) -> bool:
        if self._over:
            return False
        try:
            async with asyncio.timeout(self.silence_seconds):
                self._packet = await self._whole_packet()
        except TimeoutError:
            self._end(f"silent for {self.silence_seconds:.0f} s")
        except BadPacket as error:
            self._end(str(error))
        except (asyncio.IncompleteReadError, ConnectionError):
            self._end("")
        self._place = 0
        return not self._over

    async def _whole_packet(self) -> bytes:
        first = (await self._stream.readexactly(1))[0]
        head, size = bytes([first]), 0
        for place in range(LONGEST_LENGTH_BYTES):
            byte = (await self._stream.readexactly(1))[0]
            head += bytes([byte])
            size |= (byte & 0x7F) << 7 * place
            if not byte & 0x80:
                break
        else:
            raise BadPacket("a length of more than four bytes")
        check_head(first, size)
        if (first >> 4 == CONNECT) == self._is_connected:
            raise BadPacket("a client connects first, and once")
        self._is_connected = True
        if first >> 4 == PUBLISH:
            await self.room.acquire()
        body = await self._stream.readexactly(size)
        check_body(first, body)
        return head + body


def check_head(first: int, size: int) -> None:
    """Raise BadPacket where no client may send a packet of this kind, these flags, this size."""
    kind, flags = first >> 4, first & 0x0F
    if size > LARGEST_PACKET_BYTES:
        raise BadPacket(f"a packet of {size} bytes, at most {LARGEST_PACKET_BYTES}")
    if kind == PUBLISH:
        if flags & 0x06 == 0x06:
            raise BadPacket("a message of quality 3")
    elif FLAGS.get(kind) != flags:
        raise BadPacket(f"a packet of kind {kind} with flags {flags}")
    if not SHORTEST.get(kind, 0) <= size <= LONGEST.get(kind, LARGEST_PACKET_BYTES):
        raise BadPacket(f"a packet of kind {kind} with {size} bytes")


def check_body(first: int, body: bytes) -> None:
    """Raise BadPacket for a message whose topic is not within it, or is not text."""
    if first >> 4 != PUBLISH:
        return
    end = 2 + int.from_bytes(body[:2])
    number = 2 if first & 0x06 else 0
    if end == 2 or end + number > len(body):
        raise BadPacket("a message without a topic or number")
    try:
        topic = body[2:end].decode()
    except UnicodeDecodeError as error:
        raise BadPacket("a topic that is not UTF-8") from error
    if "\0" in topic:
        raise BadPacket("a topic with a NUL")
    if number and body[end : end + 2] == b"\0\0":
        raise BadPacket("a message with the number 0")
