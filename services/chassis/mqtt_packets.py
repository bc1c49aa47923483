"""MQTT packets, those that receivers need of versions 3.1.1 and 5: bytes in, packets out; no socket.

Numbers of sections and reason codes are those of https://docs.oasis-open.org/mqtt/mqtt/v5.0/mqtt-v5.0.html.
Measured against the libraries, and why it is our own: docs/adr/0010.
"""

from collections.abc import Iterable
from enum import IntEnum
from typing import NamedTuple

CONNECT, CONNACK, PUBLISH, PUBACK = 0x10, 0x20, 0x30, 0x40
SUBSCRIBE, SUBACK, UNSUBSCRIBE, UNSUBACK = 0x82, 0x90, 0xA2, 0xB0
PINGREQ, PINGRESP, DISCONNECT = b"\xc0\x00", 0xD0, 0xE0
QOS_1, QOS_BITS, KIND_BITS = 0x02, 0x06, 0xF0
CLEAN_START, PASSWORD_FLAG, USERNAME_FLAG = 0x02, 0x40, 0x80

# Properties, section 2.2.2.2.
CORRELATION_DATA, SERVER_KEEP_ALIVE, RECEIVE_MAXIMUM, MAXIMUM_PACKET_SIZE = 0x09, 0x13, 0x21, 0x27
# How many bytes the other properties' values take; 0 for a text, -1 for two of them.
_PROPERTY_BYTES = {
    0x01: 1, 0x02: 4, 0x03: 0, 0x08: 0, CORRELATION_DATA: 0, 0x11: 4, 0x12: 0, SERVER_KEEP_ALIVE: 2,
    0x15: 0, 0x16: 0, 0x17: 1, 0x18: 4, 0x19: 1, 0x1A: 0, 0x1C: 0, 0x1F: 0, RECEIVE_MAXIMUM: 2,
    0x22: 2, 0x23: 2, 0x24: 1, 0x25: 1, 0x26: -1, MAXIMUM_PACKET_SIZE: 4, 0x28: 1, 0x29: 1, 0x2A: 1,
}  # fmt: skip

LARGEST_PACKET_ID = 0xFFFF
# A longer packet is cut here, so that no device can fill our memory: whoever opens it refuses it for that.
LARGEST_KEPT = 1 << 20
LONGEST_SIZE_BYTES = 4


class ProtocolError(Exception):
    """The broker sent what no MQTT broker sends; the connection is of no more use."""


class Version(IntEnum):
    """The versions of the protocol, by their number on the wire."""

    V3_1_1 = 4
    V5 = 5


class Delivery(NamedTuple):
    """A PUBLISH: a message, to be acknowledged by its packet id; 0 where it asks for no acknowledgement.

    ``properties`` are version 5's, as they travelled and unchecked.
    """

    packet_id: int
    topic: str
    payload: bytes
    properties: bytes = b""


class Connected(NamedTuple):
    """A CONNACK: whether the broker takes us, and how many messages it wants in flight at most."""

    reason: int
    receive_maximum: int = LARGEST_PACKET_ID
    keepalive_seconds: int | None = None


class Confirmed(NamedTuple):
    """A PUBACK, SUBACK or UNSUBACK: its first byte, its id, and reason codes; none means success."""

    kind: int
    packet_id: int
    reasons: bytes = b""

    @property
    def is_refusal(self) -> bool:
        """Return whether any reason is a failure."""
        return any(reason >= 0x80 for reason in self.reasons)


class Pong(NamedTuple):
    """A PINGRESP."""


class Disconnected(NamedTuple):
    """A DISCONNECT from the broker, and why."""

    reason: int


Packet = Delivery | Connected | Confirmed | Pong | Disconnected


class Decoder:
    """Turns the bytes of one connection into packets, however they were cut on the way."""

    def __init__(self, version: Version) -> None:
        self._has_properties = version is Version.V5
        self._rest = b""
        self._skip = 0

    def feed(self, data: bytes) -> list[Packet]:
        """Return the packets that are whole now. Raises ProtocolError."""
        if self._skip:
            skipped = min(self._skip, len(data))
            self._skip -= skipped
            data = data[skipped:]
        buffer = self._rest + data if self._rest else data
        packets: list[Packet] = []
        start, end = 0, len(buffer)
        try:
            while end - start >= 2:
                size, body = _size_at(buffer, start + 1)
                stop = body + size
                if stop > end:
                    if size <= LARGEST_KEPT or end - body < LARGEST_KEPT:
                        break
                    self._skip, stop = stop - end, end
                packets.append(self._packet(buffer, start, body, stop))
                start = stop
        except _Incomplete:
            pass
        except IndexError as error:
            raise ProtocolError("a packet ends before its last field") from error
        self._rest = buffer[start:]
        return packets

    def _packet(self, buffer: bytes, start: int, body: int, stop: int) -> Packet:
        first = buffer[start]
        kind = first & KIND_BITS
        if kind == PUBLISH:
            return self._delivery(buffer, first, body, stop)
        if kind == PUBACK:
            return Confirmed(PUBACK, _word(buffer, body), buffer[body + 2 : min(body + 3, stop)])
        return self._seldom(kind, buffer[body:stop])

    def _delivery(self, buffer: bytes, first: int, body: int, stop: int) -> Delivery:
        end = body + 2 + (buffer[body] << 8 | buffer[body + 1])
        topic, packet_id, properties = buffer[body + 2 : end].decode(errors="replace"), 0, b""
        qos = first & QOS_BITS
        if qos == QOS_1:
            packet_id = buffer[end] << 8 | buffer[end + 1]
            end += 2
        elif qos:
            raise ProtocolError("a message of QoS 2, which nobody asked for")
        if self._has_properties:
            size, end = _whole_size_at(buffer, end)
            properties = buffer[end : end + size]
            end += size
        if end > stop:
            raise ProtocolError("a message's head is longer than the message")
        return Delivery(packet_id, topic, buffer[end:stop], properties)

    def _seldom(self, kind: int, body: bytes) -> Packet:
        if kind == PINGRESP:
            return Pong()
        if kind == CONNACK:
            return self._connected(body)
        if kind in (SUBACK, UNSUBACK):
            reasons = 2
            if self._has_properties:
                size, reasons = _whole_size_at(body, 2)
                reasons += size
            return Confirmed(kind, _word(body, 0), body[reasons:])
        if kind == DISCONNECT:
            return Disconnected(body[0] if body else 0)
        raise ProtocolError(f"a packet that no broker sends: {kind:#x}")

    def _connected(self, body: bytes) -> Connected:
        if not self._has_properties or len(body) == 2:
            return Connected(body[1])
        size, place = _whole_size_at(body, 2)
        properties = _properties(body, place, place + size)
        keepalive = properties.get(SERVER_KEEP_ALIVE)
        return Connected(
            body[1],
            receive_maximum=int.from_bytes(properties.get(RECEIVE_MAXIMUM, b""), "big") or LARGEST_PACKET_ID,
            keepalive_seconds=None if keepalive is None else int.from_bytes(keepalive, "big"),
        )


def correlation_of(delivery: Delivery) -> bytes:
    """Return the correlation data that a message carries, nothing where it carries none."""
    try:
        properties = _properties(delivery.properties, 0, len(delivery.properties))
    except (ProtocolError, IndexError):
        # The broker let it through; whoever asked without a name for it gets an answer without one.
        return b""
    return properties.get(CORRELATION_DATA, b"")


def connect(
    version: Version,
    *,
    client_id: str,
    keepalive_seconds: int,
    receive_maximum: int,
    username: str | None = None,
    password: str | None = None,
) -> bytes:
    """Return a CONNECT of a session that begins anew; `receive_maximum` is what version 5 lets us ask for."""
    flags, texts = CLEAN_START, [client_id]
    if username is not None:
        flags, texts = flags | USERNAME_FLAG, [*texts, username]
        if password is not None:
            flags, texts = flags | PASSWORD_FLAG, [*texts, password]
    body = _text("MQTT") + bytes([version, flags]) + keepalive_seconds.to_bytes(2, "big")
    if version is Version.V5:
        properties = bytes([RECEIVE_MAXIMUM]) + receive_maximum.to_bytes(2, "big")
        body += _size(len(properties)) + properties
    return _packet(CONNECT, body + b"".join(map(_text, texts)))


def subscribe(version: Version, packet_id: int, topics: Iterable[str]) -> bytes:
    """Return a SUBSCRIBE at QoS 1."""
    filters = b"".join(_text(topic) + b"\x01" for topic in topics)
    return _packet(SUBSCRIBE, _head(version, packet_id) + filters)


def unsubscribe(version: Version, packet_id: int, topics: Iterable[str]) -> bytes:
    """Return an UNSUBSCRIBE."""
    return _packet(UNSUBSCRIBE, _head(version, packet_id) + b"".join(map(_text, topics)))


def publish(
    version: Version, packet_id: int, topic: str, payload: bytes, *, correlation: bytes = b""
) -> bytes:
    """Return a PUBLISH at QoS 1; version 3.1.1 has no correlation data, and sends none."""
    head = _text(topic) + _head(version, packet_id, _correlation(correlation))
    return bytes([PUBLISH | QOS_1]) + _size(len(head) + len(payload)) + head + payload


def pubacks(packet_ids: Iterable[int]) -> bytes:
    """Return the PUBACK of each of these messages; the same in both versions."""
    return b"".join([b"\x40\x02" + packet_id.to_bytes(2, "big") for packet_id in packet_ids])


def disconnect() -> bytes:
    """Return the DISCONNECT that ends a session in good order."""
    return bytes([DISCONNECT, 0])


class _Incomplete(Exception):
    """A packet's size is not all here yet."""


def _size_at(buffer: bytes, place: int) -> tuple[int, int]:
    """Return the number of variable length at `place`, and where it ends: section 1.5.5."""
    byte = buffer[place]
    if byte < 0x80:
        return byte, place + 1
    size = shift = 0
    for end in range(place, place + LONGEST_SIZE_BYTES):
        if end >= len(buffer):
            raise _Incomplete
        size |= (buffer[end] & 0x7F) << shift
        if buffer[end] < 0x80:
            return size, end + 1
        shift += 7
    raise ProtocolError(f"a size of more than {LONGEST_SIZE_BYTES} bytes")


def _whole_size_at(buffer: bytes, place: int) -> tuple[int, int]:
    """Do as `_size_at` within a packet that is whole."""
    try:
        return _size_at(buffer, place)
    except _Incomplete as error:
        raise ProtocolError("a packet ends in the middle of a size") from error


def _properties(body: bytes, place: int, end: int) -> dict[int, bytes]:
    """Return the values of the properties from here to there, without their lengths; of pairs the second.

    Raises IndexError where they end too soon.
    """
    found = {}
    while place < end:
        name, place = body[place], place + 1
        length = _PROPERTY_BYTES.get(name)
        if length is None:
            raise ProtocolError(f"an unknown property: {name:#x}")
        for _ in range(2 if length < 0 else 1):
            start = place if length > 0 else place + 2
            place = start + (length if length > 0 else _word(body, place))
            found[name] = body[start:place]
    return found


def _word(buffer: bytes, place: int) -> int:
    return buffer[place] << 8 | buffer[place + 1]


def _head(version: Version, packet_id: int, properties: bytes = b"") -> bytes:
    """Return a packet id, and after it version 5's properties."""
    head = packet_id.to_bytes(2, "big")
    return head + _size(len(properties)) + properties if version is Version.V5 else head


def _correlation(of: bytes) -> bytes:
    return bytes([CORRELATION_DATA]) + len(of).to_bytes(2, "big") + of if of else b""


def _packet(first: int, body: bytes) -> bytes:
    return bytes([first]) + _size(len(body)) + body


def _size(number: int) -> bytes:
    if number < 0x80:
        return bytes([number])
    digits = []
    while number:
        number, digit = number >> 7, number & 0x7F
        digits.append(digit | (0x80 if number else 0))
    return bytes(digits)


def _text(text: str) -> bytes:
    encoded = text.encode()
    return len(encoded).to_bytes(2, "big") + encoded
