"""Rows of the listing service.

Keys and hashes are 0x-hex in lower case, signed documents JSON as they travelled.
"""

from datetime import datetime
from typing import Any

from sqlalchemy import JSON, BigInteger, Index
from sqlalchemy.orm import registry
from sqlmodel import Field, SQLModel

from services.chassis.tables import UtcDateTime

# What a search reads of listings that it does not show: PostgreSQL has it in the indexes.
BESIDE = ["words", "valid_until"]


class ListingTable(SQLModel, registry=registry()):
    """The base of this service's tables, in metadata of their own: all services may share one process."""


class Device(ListingTable, table=True):
    """A device that proved its meter and its owner's mandate."""

    __tablename__ = "device"

    device: str = Field(primary_key=True)
    owner: str
    owner_agent: str
    meter: str = Field(description="the key in force; 0x where the owner revoked it")
    mandate: dict[str, Any] = Field(sa_type=JSON)
    possession_valid_until: int = Field(sa_type=BigInteger)
    admitted_at: datetime = Field(sa_type=UtcDateTime)
    registered: bool = False
    tx_hash: str | None = None
    heartbeat_at: int = Field(
        default=0,
        sa_type=BigInteger,
        description="Unix seconds, as the meter signed them; 0 before the first",
    )
    last_seen: datetime | None = Field(
        default=None, sa_type=UtcDateTime, index=True, description="by our clock"
    )
    listing: str | None = Field(default=None, index=True, description="the listing that counts now")
    meter_seen_at: datetime | None = Field(
        default=None, sa_type=UtcDateTime, description="when the chain was last seen to change the meter"
    )


class ListingRow(ListingTable, table=True):
    """A listing as its owner's agent signed it; never changed, replaced by a newer one."""

    __tablename__ = "listing"
    # In the order of search results: newest first, of all and of a kind. PostgreSQL has a third, for words,
    # which no other database could make: migration 0005.
    __table_args__ = (
        Index("ix_listing_newest", "published_at", "listing", postgresql_include=BESIDE),
        Index("ix_listing_kind_newest", "kind", "published_at", "listing", postgresql_include=BESIDE),
    )

    listing: str = Field(primary_key=True)
    device: str = Field(foreign_key="device.device", index=True)
    kind: str
    words: str = Field(description="title, kind and place in lower case, for search")
    document: dict[str, Any] = Field(sa_type=JSON)
    signature: str
    valid_until: int = Field(sa_type=BigInteger)
    published_at: datetime = Field(sa_type=UtcDateTime)
