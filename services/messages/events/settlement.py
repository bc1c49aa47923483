"""Events of the settlement service."""

from datetime import datetime
from typing import ClassVar

from hireling.rental.states import State
from hireling.rental.typed_data import Address, Bytes32, HexBytes, Uint96
from services.messages.event import Event


class DeviceRegistered(Event):
    """The registry holds the device's token, confirmed."""

    source: ClassVar[str] = "settlement"
    type: ClassVar[str] = "device_registered"

    device: Bytes32
    tx_hash: Bytes32

    def key(self) -> str:
        return f"0x{self.device.hex()}"


class MeterChanged(Event):
    """The owner changed the device's key on the chain, confirmed: ``meter`` is the new one, empty for none.

    Of two for a device the one with the later ``seen_at`` counts.
    """

    source: ClassVar[str] = "settlement"
    type: ClassVar[str] = "meter_changed"

    device: Bytes32
    meter: HexBytes
    block: int
    position: int
    seen_at: datetime

    def key(self) -> str:
        where = f"{self.block}:{self.position}"
        return f"0x{self.device.hex()}:{where}:{self.seen_at.isoformat()}"


class RentalChanged(Event):
    """A rental entered a state.

    ``version`` counts the rental's changes, so that listeners can ignore an older one.
    """

    source: ClassVar[str] = "settlement"
    type: ClassVar[str] = "rental_changed"

    rental_id: Bytes32
    device: Bytes32
    state: State
    version: int

    def key(self) -> str:
        return f"0x{self.rental_id.hex()}:{self.version}"


class Claimed(Event):
    """The escrow paid on a claim, alone or in a batch, confirmed.

    Amounts are cumulative, in the token's base units; ``fee`` is the one on ``paid``, credited at the end.
    """

    source: ClassVar[str] = "settlement"
    type: ClassVar[str] = "claimed"
    may_go_unheard: ClassVar[bool] = True

    rental_id: Bytes32
    paid: Uint96
    fee: Uint96
    tx_hash: Bytes32

    def key(self) -> str:
        return f"0x{self.rental_id.hex()}:{self.paid}"


class BillIssued(Event):
    """A settled rental's bill was built and signed."""

    source: ClassVar[str] = "settlement"
    type: ClassVar[str] = "bill_issued"

    rental_id: Bytes32
    device: Bytes32
    total: Uint96

    def key(self) -> str:
        return f"0x{self.rental_id.hex()}"


class RootAnnounced(Event):
    """A batch's root is on the chain, confirmed. Told again where the chain went back and it moved.

    Of two for a batch the one with the later ``seen_at`` counts.
    """

    source: ClassVar[str] = "settlement"
    type: ClassVar[str] = "root_announced"

    batch: Bytes32
    root: Bytes32
    chain_id: int
    contract: Address
    publisher: Address
    transaction: Bytes32
    block: int
    seen_at: datetime

    def key(self) -> str:
        where = f"0x{self.transaction.hex()}:{self.block}"
        return f"0x{self.batch.hex()}:{where}:{self.seen_at.isoformat()}"
