"""Rows of the negotiation service.

Keys and hashes are 0x-hex in lower case, signed documents JSON as they travelled.
"""

from datetime import datetime
from typing import Any

from sqlalchemy import JSON, BigInteger, Index, text
from sqlalchemy.orm import registry
from sqlmodel import Field, SQLModel

from services.chassis.tables import UtcDateTime


class NegotiationTable(SQLModel, registry=registry()):
    """The base of this service's tables, in metadata of their own: all services may share one process."""


class Quote(NegotiationTable, table=True):
    """A session: one renter's question to one device, with the terms that held when it was asked."""

    __tablename__ = "quote"
    __table_args__ = (
        Index(
            "quote_one_open_per_renter",
            "device",
            "renter",
            unique=True,
            sqlite_where=text("status = 'open'"),
            postgresql_where=text("status = 'open'"),
        ),
        Index(
            "quote_open_until",
            "answer_by",
            sqlite_where=text("status = 'open'"),
            postgresql_where=text("status = 'open'"),
        ),
    )

    quote_id: str = Field(primary_key=True, description="the first 16 bytes of the request's hash")
    device: str = Field(index=True)
    renter: str
    listing: str
    request: dict[str, Any] = Field(sa_type=JSON)
    document: dict[str, Any] = Field(sa_type=JSON, description="the listing asked about")
    mandate: dict[str, Any] = Field(sa_type=JSON, description="the owner's, for the agent that answers")
    terms: dict[str, Any] = Field(sa_type=JSON, description="the platform's")
    status: str
    asked_at: datetime = Field(sa_type=UtcDateTime)
    answer_by: datetime = Field(sa_type=UtcDateTime, description="the present deadline; each offer moves it")
    owner_signature: str | None = None
    renter_signature: str | None = None
    listing_signature: str | None = Field(default=None, description="the owner's agent's")
    request_signature: str | None = Field(default=None, description="the renter's agent's")
    won_auction: str | None = Field(default=None, description="where it only carries out an award: of which")
    won_amount: str | None = Field(default=None, description="base units")
    appointment: dict[str, Any] | None = Field(
        default=None, sa_type=JSON, description="signed, where the platform's delegate speaks for the owner"
    )


class OfferRow(NegotiationTable, table=True):
    """One signed offer of a session."""

    __tablename__ = "offer"

    quote_id: str = Field(primary_key=True, foreign_key="quote.quote_id")
    round: int = Field(primary_key=True)
    offer: str = Field(unique=True, description="the document's hash")
    signed: dict[str, Any] = Field(sa_type=JSON)
    made_at: datetime = Field(sa_type=UtcDateTime)


class AgreementRow(NegotiationTable, table=True):
    """What both sides signed; never changed."""

    __tablename__ = "agreement"

    rental_id: str = Field(primary_key=True)
    quote_id: str = Field(unique=True, foreign_key="quote.quote_id")
    signed: dict[str, Any] = Field(sa_type=JSON)
    agreed_at: datetime = Field(sa_type=UtcDateTime)


class TakenBackRow(NegotiationTable, table=True):
    """What both sides signed, as one of them handed it in: this database had lost it, and its session."""

    __tablename__ = "agreement_taken_back"

    rental_id: str = Field(primary_key=True)
    quote_id: str = Field(description="of a session that may be lost too")
    signed: dict[str, Any] = Field(sa_type=JSON)
    taken_at: datetime = Field(sa_type=UtcDateTime)


class MandateReservation(NegotiationTable, table=True):
    """What a rental holds of its owner's mandate, or has earned under it."""

    __tablename__ = "mandate_reservation"

    rental_id: str = Field(primary_key=True)
    mandate: str = Field(index=True, description="the mandate's hash")
    amount: str = Field(description="base units")
    stage: str
    lapses_at: datetime = Field(sa_type=UtcDateTime)
    fund_by: int = Field(sa_type=BigInteger)


class RevocationRow(NegotiationTable, table=True):
    """A principal's latest word on a mandate, on an agent's key or, with no subject, on all its agents."""

    __tablename__ = "revocation"

    principal: str = Field(primary_key=True)
    subject: str = Field(primary_key=True)
    signed: dict[str, Any] = Field(sa_type=JSON)


class ApprovalRow(NegotiationTable, table=True):
    """A principal's word on one rental above its agent's threshold; the first one counts."""

    __tablename__ = "approval"

    rental_id: str = Field(primary_key=True)
    principal: str = Field(primary_key=True)
    signed: dict[str, Any] = Field(sa_type=JSON)


class SlotRow(NegotiationTable, table=True):
    """What an agreed and unfinished rental takes of its device's calendar; gone once it no longer uses it."""

    __tablename__ = "slot"
    __table_args__ = (Index("ix_slot_device_ends_at", "device", "ends_at"),)

    rental_id: str = Field(primary_key=True)
    device: str
    renter: str
    starts_at: int = Field(sa_type=BigInteger, description="Unix seconds")
    ends_at: int = Field(
        sa_type=BigInteger, description="the agreed end and the turnaround; it may end earlier"
    )
    alone: bool = Field(
        description="its device has one agreement at a time, so no other slot may be beside it"
    )
    held_until: datetime = Field(
        sa_type=UtcDateTime, description="without its money it keeps nobody off after"
    )
    funded: bool


class AuctionRow(NegotiationTable, table=True):
    """An auction: what its holder signed, and how far it is."""

    __tablename__ = "auction"

    auction: str = Field(primary_key=True, description="the notice's hash")
    rule: str
    kind: str | None = None
    notice: dict[str, Any] = Field(sa_type=JSON, description="signed")
    domain: dict[str, Any] = Field(sa_type=JSON)
    listings: list[dict[str, Any]] = Field(sa_type=JSON, description="signed, of the lots in order")
    opened_at: int = Field(sa_type=BigInteger)
    closed_at: int | None = Field(default=None, sa_type=BigInteger, description="when the outcome was drawn")
    forfeits: list[dict[str, Any]] = Field(sa_type=JSON, description="in order")
    due_at: int | None = Field(
        sa_type=BigInteger, index=True, description="when to look at it again; never, once it is done"
    )


class AuctionEntry(NegotiationTable, table=True):
    """A commitment or a bid that was admitted; never changed."""

    __tablename__ = "auction_entry"

    auction: str = Field(primary_key=True, foreign_key="auction.auction")
    number: int = Field(primary_key=True, description="in the order in which they came")
    kind: str = Field(description="commitment or bid")
    hash: str = Field(index=True, description="of what was signed")
    signed: dict[str, Any] = Field(sa_type=JSON)
    listing: dict[str, Any] | None = Field(default=None, sa_type=JSON, description="signed, of a machine")
    came_at: int = Field(sa_type=BigInteger)


class AwardRow(NegotiationTable, table=True):
    """A bidder's right to an agreement, and what became of it."""

    __tablename__ = "auction_award"

    auction: str = Field(primary_key=True, foreign_key="auction.auction")
    bidder: str = Field(primary_key=True)
    device: str = Field(index=True)
    award: dict[str, Any] = Field(sa_type=JSON)
    until: int = Field(sa_type=BigInteger)
    state: str
    quote_id: str | None = Field(default=None, unique=True)


class AuctionedDevice(NegotiationTable, table=True):
    """A machine that is let by an auction, and by nothing else meanwhile: the primary key says so."""

    __tablename__ = "auctioned_device"

    device: str = Field(primary_key=True)
    auction: str = Field(index=True)


class DelegateKeyRow(NegotiationTable, table=True):
    """A key that the platform made for a machine's delegate; gone once its appointment has ended."""

    __tablename__ = "delegate_key"

    delegate: str = Field(primary_key=True, description="the key's address")
    device: str = Field(index=True)
    sealed: str = Field(description="the key file, encrypted under the service's passphrase")
    made_at: datetime = Field(sa_type=UtcDateTime)


class AppointmentRow(NegotiationTable, table=True):
    """The appointment that stands for a machine: one at a time."""

    __tablename__ = "appointment"

    device: str = Field(primary_key=True)
    delegate: str = Field(unique=True, foreign_key="delegate_key.delegate")
    owner: str
    revocation: str = Field(description="the id by which its mandate is revoked")
    order: dict[str, Any] = Field(sa_type=JSON, description="with the bounds: for nobody but the owner")
    valid_until: int = Field(sa_type=BigInteger, index=True)
    appointed_at: datetime = Field(sa_type=UtcDateTime)


class DelegateDecisionRow(NegotiationTable, table=True):
    """What a delegate did in one of the owner's turns, and why; the key lets it be one a turn."""

    __tablename__ = "delegate_decision"

    quote_id: str = Field(primary_key=True, description="it may outlive the session")
    round: int = Field(primary_key=True, description="how many offers there were")
    owner: str
    move: str = Field(description="offer, sign or leave")
    code: str | None = Field(default=None, description="why it was left, for machines")
    reason: str
    made_at: datetime = Field(sa_type=UtcDateTime)
    wanted: dict[str, Any] | None = Field(default=None, sa_type=JSON, description="what it went by")
    decided: dict[str, Any] | None = Field(default=None, sa_type=JSON, description="to repeat the decision")
    signed: dict[str, Any] | None = Field(default=None, sa_type=JSON, description="what it signed")
