"""Events of the listing service."""

from typing import ClassVar

from hireling.rental.typed_data import Bytes32, HexBytes, Uint40
from services.messages.event import Event


class DeviceAdmitted(Event):
    """A device proved its meter key and its owner's mandate; it still has to be registered on the chain."""

    source: ClassVar[str] = "listing"
    type: ClassVar[str] = "device_admitted"

    device: Bytes32
    owner: HexBytes
    meter: HexBytes
    metadata_hash: Bytes32
    valid_until: Uint40
    possession: HexBytes

    def key(self) -> str:
        return f"0x{self.device.hex()}:{self.valid_until}"


class ListingPublished(Event):
    """A device's owner's agent signed what it offers; replaces the device's earlier listing."""

    source: ClassVar[str] = "listing"
    type: ClassVar[str] = "listing_published"

    listing: Bytes32
    device: Bytes32
    valid_until: Uint40

    def key(self) -> str:
        return f"0x{self.listing.hex()}"
