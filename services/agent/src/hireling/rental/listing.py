"""What a device offers, and its sign of life."""

from typing import Any, Self

from pydantic import Field, model_validator

from hireling.rental.agenda import Agenda
from hireling.rental.documents import canonical_json, document_hash
from hireling.rental.errors import Malformed, SignatureMismatch
from hireling.rental.signing import Signer, sign, signer_of
from hireling.rental.tariff import Tariff
from hireling.rental.terms import device_id
from hireling.rental.typed_data import (
    Bytes32,
    Document,
    Domain,
    HexBytes,
    KeyBytes,
    SignerBytes,
    TypedData,
    Uint32,
    Uint40,
    Uint96,
    digest,
)

LARGEST_THING_BYTES = 65_536


def _is_zero(value: int) -> bool:
    return value == 0


class Place(Document):
    """Where the device is, coarsely: to about a hundred metres at best (thousandths of a degree)."""

    country: str = Field(pattern=r"^[A-Z]{2}$")
    city: str = Field(min_length=1, max_length=80)
    lat_e3: int | None = Field(default=None, ge=-90_000, le=90_000, strict=True)
    lon_e3: int | None = Field(default=None, ge=-180_000, le=180_000, strict=True)


class ListingDocument(Document):
    """What a device offers to anyone.

    ``thing`` is a W3C WoT Thing Description; spans in seconds, amounts in base units.

    ``time_factor`` is how many times faster than real time the meter's counters run (1, but for a replayed
    trace); ``ceiling_seconds`` is how far ahead the renter signs, ``grace`` how long the device waits
    suspended, ``notice`` how long it may be offline; ``agenda`` is what may be bargained about.

    ``books_ahead`` is how far ahead the device takes bookings while it is promised to others, and
    ``turnaround`` what it needs between two rentals. Without the first it has one agreement at a time. They
    are left out of the document where they are 0, as in listings of before there were any.
    """

    device: Bytes32
    owner: SignerBytes
    owner_agent: SignerBytes
    meter: KeyBytes
    title: str = Field(min_length=1, max_length=120)
    kind: str = Field(pattern=r"^[a-z0-9][a-z0-9-]{0,31}$")
    thing: dict[str, Any]
    place: Place | None = None
    tariff: Tariff
    agenda: Agenda = Agenda()
    deposit: Uint96
    time_factor: Uint32 = 1
    ceiling_seconds: Uint32
    grace: Uint32
    notice: Uint32
    claim_window: Uint32
    challenge_window: Uint32
    max_seconds: Uint32
    books_ahead: Uint32 = Field(default=0, exclude_if=_is_zero)
    turnaround: Uint32 = Field(default=0, exclude_if=_is_zero)
    valid_until: Uint40

    @model_validator(mode="after")
    def _check(self) -> Self:
        if self.device != device_id(self.meter):
            raise ValueError("the device's id is not the hash of its meter's key")
        for name in ("time_factor", "ceiling_seconds", "max_seconds"):
            if getattr(self, name) == 0:
                raise ValueError(f"{name} is 0")
        try:
            size = len(canonical_json(self.thing))
        except Malformed as error:
            raise ValueError(str(error)) from error
        if size > LARGEST_THING_BYTES:
            raise ValueError(f"a Thing Description of {size} bytes, at most {LARGEST_THING_BYTES}")
        return self


class Listing(TypedData):
    """What the owner's agent signs of a listing's document."""

    device: Bytes32
    document: Bytes32
    valid_until: Uint40


class Heartbeat(TypedData):
    """A device's sign of life at a Unix second, signed by its meter."""

    device: Bytes32
    at: Uint40


class SignedListing(Document):
    """A listing and its owner's agent's signature, or the owner's own: a delegate's machine is listed so."""

    document: ListingDocument
    signature: HexBytes

    @property
    def hash(self) -> bytes:
        """Return the hash of the document: the listing's name."""
        return document_hash(self.document)

    def check(self, domain: Domain) -> None:
        """Raise SignatureMismatch unless the owner or its agent signed this document in this domain."""
        signer = signer_of(digest(domain, listing_of(self.document)), self.signature)
        if signer not in (self.document.owner_agent, self.document.owner):
            raise SignatureMismatch(
                "wrong_signer",
                f"signed by 0x{signer.hex()}, who is neither the listing's owner nor its agent",
            )


def listing_of(document: ListingDocument) -> Listing:
    """Return what is signed of a listing's document."""
    return Listing(device=document.device, document=document_hash(document), valid_until=document.valid_until)


def sign_listing(key: Signer, domain: Domain, document: ListingDocument) -> SignedListing:
    """Return the document signed by the key of its owner or its owner's agent."""
    return SignedListing(document=document, signature=sign(key, domain, listing_of(document)))
