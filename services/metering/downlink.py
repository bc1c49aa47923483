"""Messages to devices: on which topic, in which words."""

from typing import Any

from hireling.rental.typed_data import to_hex

Message = tuple[str, dict[str, Any]]


def topic_of(device: str, word: str) -> str:
    """Return a device's topic; `device` is 0x-hex."""
    return f"hireling/{device}/{word}"


def notice(device: bytes, kind: str, **names: str) -> Message:
    """Return the hint that something changed; the device then asks for the truth."""
    return topic_of(to_hex(device), "notices"), {"type": kind, **names}


def ack(device: str, *, rental_id: str, seq: int) -> Message:
    """Return the word that all readings up to `seq` are durable."""
    return topic_of(device, "acks"), {"rental_id": rental_id, "seq": str(seq)}
