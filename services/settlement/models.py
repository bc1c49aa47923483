"""Rows of settlement.

Keys and hashes are 0x-hex in lower case, amounts whole base units, signed objects JSON as they travelled.
"""

from datetime import datetime
from typing import Any

from sqlalchemy import JSON, BigInteger, Column, Dialect, Integer, String, Text, TypeDecorator
from sqlalchemy.orm import registry
from sqlmodel import Field, SQLModel

from services.chassis.tables import UtcDateTime

# SQLite numbers rows by itself only where the primary key is exactly INTEGER.
BIG_ID = BigInteger().with_variant(Integer, "sqlite")
# A batched claim that the escrow paid; another outcome says why it was skipped.
CLAIMED = "CLAIMED"
LONGEST_AMOUNT = 78  # digits of the largest uint256


class Whole(TypeDecorator[int]):
    """A whole number of any size, kept as decimal text.

    No column type of both databases holds 96 bits exactly.
    """

    impl = String(LONGEST_AMOUNT)
    cache_ok = True

    def process_bind_param(self, value: int | None, dialect: Dialect) -> str | None:
        """Return the text to store."""
        return None if value is None else str(int(value))

    def process_result_value(self, value: str | None, dialect: Dialect) -> int | None:
        """Return the number that was stored."""
        return None if value is None else int(value)


class SettlementTable(SQLModel, registry=registry()):
    """The base of this service's tables, in metadata of their own: all services may share one process."""


class RentalRow(SettlementTable, table=True):
    """A rental: its terms, its state, what it costs so far, and what the chain says of its money."""

    __tablename__ = "rental"

    rental_id: str = Field(primary_key=True)
    quote_id: str
    device: str = Field(index=True)
    renter: str = Field(index=True)
    signed: dict[str, Any] = Field(sa_type=JSON, description="the SignedAgreement")
    state: str = Field(index=True)
    version: int = Field(default=1, description="counts the states entered")
    entered_at: datetime = Field(sa_type=UtcDateTime, description="chain time at which the state began")
    due_at: int | None = Field(
        default=None,
        sa_type=BigInteger,
        index=True,
        description="Unix seconds after which the state's default is due",
    )
    created_at: datetime = Field(sa_type=UtcDateTime)
    updated_at: datetime = Field(sa_type=UtcDateTime)

    seq: int | None = Field(default=None, sa_type=BigInteger, description="the last reading that counts")
    reading: dict[str, Any] | None = Field(default=None, sa_type=JSON, description="that SignedReading")
    amount_due: int = Field(default=0, sa_type=Whole)
    refused_seq: int | None = Field(
        default=None, sa_type=BigInteger, description="from this number on nothing counts"
    )
    ceiling: dict[str, Any] | None = Field(
        default=None, sa_type=JSON, description="the SignedCeiling that counts"
    )
    owner_close: dict[str, Any] | None = Field(default=None, sa_type=JSON)
    renter_close: dict[str, Any] | None = Field(default=None, sa_type=JSON)
    claimed_at: datetime | None = Field(
        default=None, sa_type=UtcDateTime, description="chain time at which a claim was last queued"
    )

    money: str = Field(default="none", index=True, description="none, open or done: confirmed by the chain")
    claim_by: int = Field(sa_type=BigInteger, description="Unix seconds; an exit lowers it")
    slot_status: int = Field(default=0, description="the escrow's status bits, from its logs")
    funded_bps: int = 0
    prepaid: int = Field(default=0, sa_type=Whole)
    paid: int = Field(default=0, sa_type=Whole)
    tail: int = Field(default=0, sa_type=Whole)
    fee: int = Field(default=0, sa_type=Whole)
    to_owner: int = Field(default=0, sa_type=Whole)
    refund: int = Field(
        default=0, sa_type=Whole, description="prepayment and deposit that went back to the renter"
    )
    told_paid: int = Field(
        default=0, sa_type=Whole, description="the highest paid amount that was told as claimed"
    )
    billed: bool = False


class EarlyReadingRow(SettlementTable, table=True):
    """A reading that came before the one it follows: it counts when that one has."""

    __tablename__ = "early_reading"

    rental_id: str = Field(primary_key=True)
    seq: int = Field(primary_key=True, sa_type=BigInteger)
    signed: dict[str, Any] = Field(sa_type=JSON, description="the SignedReading")


class RefusalRow(SettlementTable, table=True):
    """A reading that metering accepted and settlement does not pay, with the evidence."""

    __tablename__ = "refusal"

    rental_id: str = Field(primary_key=True)
    seq: int = Field(primary_key=True, sa_type=BigInteger)
    code: str
    detail: str
    evidence: dict[str, Any] = Field(sa_type=JSON)
    at: datetime = Field(sa_type=UtcDateTime)


class FlagRow(SettlementTable, table=True):
    """A reading that counts and that metering finds suspicious; see services/settlement/holding.py."""

    __tablename__ = "flag"

    rental_id: str = Field(primary_key=True)
    seq: int = Field(primary_key=True, sa_type=BigInteger)
    code: str = Field(primary_key=True)
    reason: str
    amount_due: int = Field(sa_type=Whole, description="the reading's own")
    raised_at: datetime = Field(sa_type=UtcDateTime)
    cleared_at: datetime | None = Field(default=None, sa_type=UtcDateTime)


class AcknowledgedRow(SettlementTable, table=True):
    """The first reading that asks what the renter acknowledged; claimed with while a flag holds."""

    __tablename__ = "acknowledged_reading"

    rental_id: str = Field(primary_key=True)
    amount: int = Field(sa_type=Whole, description="what the renter acknowledged")
    signed: dict[str, Any] = Field(sa_type=JSON, description="the SignedReading")


class TransactionRow(SettlementTable, table=True):
    """An intent to change the chain, and what became of it.

    ``key`` makes it the same intent when it is queued twice.
    """

    __tablename__ = "chain_transaction"

    id: int | None = Field(default=None, sa_column=Column(BIG_ID, primary_key=True, autoincrement=True))
    key: str = Field(unique=True)
    kind: str
    rental_id: str | None = Field(default=None, index=True)
    to: str
    data: str = Field(sa_type=Text)
    status: str = Field(
        default="queued", index=True, description="queued sent mined confirmed refused unknown"
    )
    reason: str | None = Field(default=None, sa_type=Text)
    nonce: int | None = Field(
        default=None, sa_type=BigInteger, unique=True, description="of the relayer's one lane"
    )
    hash: str | None = Field(default=None, description="of the attempt that was mined, or of the newest one")
    block: int | None = Field(default=None, sa_type=BigInteger)
    gas_used: int | None = Field(default=None, sa_type=BigInteger)
    created_at: datetime = Field(sa_type=UtcDateTime)
    sent_at: datetime | None = Field(
        default=None, sa_type=UtcDateTime, description="when the newest attempt was signed"
    )


class BatchedClaimRow(SettlementTable, table=True):
    """A rental's claim as a row of a batch, and what the escrow's confirmed log said of it.

    ``key`` is what the claim would have alone, so that neither way repeats the other.
    """

    __tablename__ = "batched_claim"

    transaction_id: int = Field(primary_key=True, sa_type=BigInteger, foreign_key="chain_transaction.id")
    rental_id: str = Field(primary_key=True, index=True)
    key: str = Field(index=True)
    seq: int = Field(sa_type=BigInteger, description="of the reading it claims with")
    rows: int = Field(description="how many claims the batch has")
    outcome: str | None = Field(default=None, description="CLAIMED, or why the escrow skipped it")
    block: int | None = Field(default=None, sa_type=BigInteger, description="in which it was said")
    told_at: datetime | None = Field(default=None, sa_type=UtcDateTime, description="chain time of that")


class AttemptRow(SettlementTable, table=True):
    """A signed transaction, on disk before it is broadcast.

    All attempts of one intent share its nonce: at most one is ever mined.
    """

    __tablename__ = "attempt"

    hash: str = Field(primary_key=True)
    transaction_id: int = Field(sa_type=BigInteger, index=True, foreign_key="chain_transaction.id")
    nonce: int = Field(sa_type=BigInteger)
    raw: str = Field(sa_type=Text)
    gas: int = Field(sa_type=BigInteger, description="the limit")
    max_fee: int = Field(sa_type=Whole, description="wei per gas")
    tip: int = Field(sa_type=Whole, description="wei per gas")
    signed_at: datetime = Field(sa_type=UtcDateTime)


class LogRow(SettlementTable, table=True):
    """A confirmed log of the escrow or the registry: what money and registrations are derived from."""

    __tablename__ = "chain_log"

    block: int = Field(primary_key=True, sa_type=BigInteger)
    position: int = Field(primary_key=True, sa_type=BigInteger, description="the log's index in its block")
    row: int = Field(default=0, primary_key=True, description="of a batch's log; 0 where it is about one")
    tx_hash: str
    name: str
    subject: str = Field(index=True, description="the rental or the device")
    arguments: dict[str, Any] = Field(
        sa_type=JSON, description="integers as decimal strings, bytes as 0x-hex"
    )


class SeenBlock(SettlementTable, table=True):
    """A block up to which all logs were read; its hash tells when the chain went back behind it."""

    __tablename__ = "seen_block"

    number: int = Field(primary_key=True, sa_type=BigInteger)
    hash: str
    time: int = Field(sa_type=BigInteger, description="Unix seconds")


class DeviceRow(SettlementTable, table=True):
    """A device that listing admitted; ``tx_hash`` once the registry holds it, confirmed."""

    __tablename__ = "device"

    device: str = Field(primary_key=True)
    tx_hash: str | None = None


class BillRow(SettlementTable, table=True):
    """A bill as it was signed; only the countersignature comes later."""

    __tablename__ = "bill"

    rental_id: str = Field(primary_key=True)
    device: str = Field(index=True)
    total: int = Field(sa_type=Whole)
    signed: dict[str, Any] = Field(sa_type=JSON, description="the SignedBill")
    countersigned: bool = False
    issued_at: datetime = Field(sa_type=UtcDateTime, index=True)


class RelayerRow(SettlementTable, table=True):
    """A relayer that followed another: its key's number, and since when it signs. Number 0 has no row."""

    __tablename__ = "relayer"

    number: int = Field(primary_key=True)
    address: str
    made_at: datetime = Field(sa_type=UtcDateTime)
    took_over_at: datetime | None = Field(
        default=None, sa_type=UtcDateTime, description="when nothing of the one before was under way any more"
    )


class OpensPauseRow(SettlementTable, table=True):
    """That no new rental is taken, since when and why: one row, or none while they are."""

    __tablename__ = "opens_pause"

    id: int = Field(default=1, primary_key=True)
    reason: str
    since: datetime = Field(sa_type=UtcDateTime)


class OperatorActionRow(SettlementTable, table=True):
    """What an operator did by hand, and when; never whose data it was about."""

    __tablename__ = "operator_action"

    id: int | None = Field(default=None, sa_column=Column(BIG_ID, primary_key=True, autoincrement=True))
    at: datetime = Field(sa_type=UtcDateTime)
    action: str
    detail: dict[str, Any] = Field(sa_type=JSON)


class LeaseRow(SettlementTable, table=True):
    """Who drives the lane: one copy of the service at a time."""

    __tablename__ = "lease"

    name: str = Field(primary_key=True)
    holder: str
    until: datetime = Field(sa_type=UtcDateTime)
