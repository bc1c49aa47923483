"""As much MQTT 3.1.1 as a load generator needs, cheap enough to leave the cores to what is measured.

Packets as in https://docs.oasis-open.org/mqtt/mqtt/v3.1.1/: CONNECT, SUBSCRIBE, PUBLISH at QoS 1 and PUBACK.
"""

import socket
import struct
from collections.abc import Iterator
from dataclasses import dataclass
from urllib.parse import urlsplit

CONNECT, CONNACK, PUBLISH_QOS_1, PUBACK, SUBSCRIBE, SUBACK = 0x10, 0x20, 0x32, 0x40, 0x82, 0x90
CLEAN_SESSION, NAME_AND_PASSWORD = 2, 0xC0
LONGEST_SILENCE_SECONDS = 60.0
PACKET_IDS = 65_535
CHUNK = 1 << 18


def publish_packet(topic: str, payload: bytes, packet_id: int) -> bytes:
    """Return a PUBLISH at QoS 1."""
    return _packet(PUBLISH_QOS_1, _text(topic) + struct.pack(">H", packet_id) + payload)


@dataclass(frozen=True, slots=True)
class Arrived:
    """A PUBLISH or a PUBACK that came."""

    kind: int
    packet_id: int
    topic: str = ""
    payload: bytes = b""


class Line:
    """One connection to the broker, by the name and password in its address."""

    def __init__(self, url: str, *, client_id: str) -> None:
        address = urlsplit(url)
        self._socket = socket.create_connection((str(address.hostname), address.port or 1883))
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._socket.settimeout(LONGEST_SILENCE_SECONDS)
        self._kept = b""
        names = _text(address.username) + _text(address.password or "") if address.username else b""
        head = _text("MQTT") + bytes([4, CLEAN_SESSION | (NAME_AND_PASSWORD if names else 0), 0, 0])
        self.send(_packet(CONNECT, head + _text(client_id) + names))
        if refused := self._expect(CONNACK)[1]:
            raise ConnectionError(f"the broker refuses the connection: {refused}")

    def subscribe(self, topic: str) -> None:
        """Subscribe at QoS 1, and return when the broker has confirmed."""
        self.send(_packet(SUBSCRIBE, struct.pack(">H", 1) + _text(topic) + b"\x01"))
        self._expect(SUBACK)

    def send(self, packets: bytes) -> None:
        """Write packets."""
        self._socket.sendall(packets)

    def arrived(self) -> list[Arrived]:
        """Wait for something to come, and return all that has. Raises ConnectionError, TimeoutError."""
        return [one for first, body in self._packets() if (one := _arrived(first, body)) is not None]

    def acknowledge(self, packet_ids: list[int]) -> None:
        """Confirm to the broker that these messages came."""
        self.send(b"".join(struct.pack(">BBH", PUBACK, 2, packet_id) for packet_id in packet_ids))

    def close(self) -> None:
        """Hang up."""
        self._socket.close()

    def _expect(self, kind: int) -> bytes:
        [(first, body)] = self._packets()
        if first & 0xF0 != kind & 0xF0:
            raise ConnectionError(f"the broker answered {first:#x}, not {kind:#x}")
        return body

    def _packets(self) -> list[tuple[int, bytes]]:
        while True:
            chunk = self._socket.recv(CHUNK)
            if not chunk:
                raise ConnectionError("the broker hung up")
            self._kept += chunk
            packets = list(self._whole_packets())
            if packets:
                return packets

    def _whole_packets(self) -> Iterator[tuple[int, bytes]]:
        start, kept = 0, self._kept
        while True:
            length = _length(kept, start + 1)
            if length is None or len(kept) < length[1] + length[0]:
                break
            size, body = length
            yield kept[start], kept[body : body + size]
            start = body + size
        self._kept = kept[start:]


def _arrived(first: int, body: bytes) -> Arrived | None:
    kind = first & 0xF0
    if kind == PUBACK:
        return Arrived(PUBACK, int.from_bytes(body[:2], "big"))
    if kind != PUBLISH_QOS_1 & 0xF0:
        return None
    end = 2 + int.from_bytes(body[:2], "big")
    if not first & 0x06:
        return Arrived(PUBLISH_QOS_1, 0, body[2:end].decode(), body[end:])
    packet_id = int.from_bytes(body[end : end + 2], "big")
    return Arrived(PUBLISH_QOS_1, packet_id, body[2:end].decode(), body[end + 2 :])


def _length(packets: bytes, place: int) -> tuple[int, int] | None:
    """Return a packet's length and where its body starts, or None where more must come first."""
    size = shift = 0
    while place < len(packets):
        byte = packets[place]
        size |= (byte & 0x7F) << shift
        place, shift = place + 1, shift + 7
        if not byte & 0x80:
            return size, place
    return None


def _packet(first: int, body: bytes) -> bytes:
    size, length = len(body), b""
    while True:
        size, digit = size >> 7, size & 0x7F
        length += bytes([digit | (0x80 if size else 0)])
        if not size:
            return bytes([first]) + length + body


def _text(text: str) -> bytes:
    encoded = text.encode()
    return struct.pack(">H", len(encoded)) + encoded
