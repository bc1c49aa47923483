"""Events of the metering service."""

from datetime import datetime
from typing import ClassVar

from hireling.rental.ceiling import SignedCeiling
from hireling.rental.reading import SignedReading
from hireling.rental.typed_data import Bytes32, Uint96
from services.messages.event import Event


class UsageAccepted(Event):
    """A run of readings (1 to 100, contiguous, ascending) became durable: counted, chained, not priced."""

    source: ClassVar[str] = "metering"
    type: ClassVar[str] = "usage_accepted"

    rental_id: Bytes32
    readings: tuple[SignedReading, ...]

    def key(self) -> str:
        return f"0x{self.rental_id.hex()}:{self.readings[-1].reading.seq}"


class CeilingAccepted(Event):
    """The renter's session key raised what may be claimed."""

    source: ClassVar[str] = "metering"
    type: ClassVar[str] = "ceiling_accepted"

    rental_id: Bytes32
    ceiling: SignedCeiling

    def key(self) -> str:
        ceiling = self.ceiling.ceiling
        amounts = f"{ceiling.max_claimable}:{ceiling.ack_amount}"
        return f"0x{self.rental_id.hex()}:{amounts}:0x{ceiling.ack_reading.hex()}"


class Flagged(Event):
    """A reading that counts looks wrong: see docs/plausibility.md.

    ``amount_due`` is the reading's own, by which settlement knows whether the renter has acknowledged it.
    """

    source: ClassVar[str] = "metering"
    type: ClassVar[str] = "flagged"

    rental_id: Bytes32
    seq: int
    code: str
    reason: str
    amount_due: Uint96
    at: datetime

    def key(self) -> str:
        return f"0x{self.rental_id.hex()}:{self.seq}:{self.code}"


class FlagCleared(Event):
    """A person looked at a flag and found nothing wrong."""

    source: ClassVar[str] = "metering"
    type: ClassVar[str] = "flag_cleared"

    rental_id: Bytes32
    seq: int
    code: str
    at: datetime

    def key(self) -> str:
        return f"0x{self.rental_id.hex()}:{self.seq}:{self.code}"


class DayClosed(Event):
    """A UTC day's readings are counted for good; never told of a day without any.

    ``day`` counts from 1970-01-01; ``root`` is over one leaf a device, see `hireling.rental.anchoring`.
    """

    source: ClassVar[str] = "metering"
    type: ClassVar[str] = "day_closed"

    day: int
    root: Bytes32
    devices: int
    readings: int

    def key(self) -> str:
        return str(self.day)
