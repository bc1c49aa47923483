"""RPC words of the listing service.

register_device(registration) -> DeviceView          idempotent by device; Refused on a bad proof or mandate
get_device(device) -> DeviceView                     NotFound
list_devices(cursor, limit) -> Page[DeviceView]
heartbeat(device, heartbeat) -> DeviceView           Refused on a bad signature or an old time
publish_listing(signed_listing) -> ListingView       idempotent by hash
get_listing(listing) -> ListingView
search_listings(query) -> Page[ListingView]
"""

from datetime import datetime

from pydantic import Field

from hireling.rental.listing import Heartbeat, ListingDocument
from hireling.rental.mandate import SignedMandate
from hireling.rental.typed_data import Bytes32, HexBytes, Uint40
from services.messages.message import Message


class Registration(Message):
    """A device's wish to take part: its meter's proof of possession, and the mandate of its owner's agent."""

    meter: HexBytes
    owner: HexBytes
    owner_agent: HexBytes
    mandate: SignedMandate
    metadata_hash: Bytes32
    valid_until: Uint40
    possession: HexBytes


class SignedHeartbeat(Message):
    """A device's sign of life, signed by its meter."""

    heartbeat: Heartbeat
    signature: HexBytes


class DeviceView(Message):
    """A device as others see it. ``registered`` says the chain's registry holds it."""

    device: Bytes32
    owner: HexBytes
    owner_agent: HexBytes
    meter: HexBytes
    mandate: SignedMandate
    registered: bool
    tx_hash: Bytes32 | None = None
    last_seen: datetime | None = None
    listing: Bytes32 | None = None


class ListingView(Message):
    """A listing, its signature, and whether its device is alive."""

    listing: Bytes32
    document: ListingDocument
    signature: HexBytes
    online: bool
    registered: bool
    last_seen: datetime | None = None


class ListingQuery(Message):
    """What a renter looks for; every given field narrows."""

    kind: str | None = None
    q: str | None = None
    online: bool | None = None
    cursor: str | None = None
    limit: int = Field(default=50, ge=1, le=200)
