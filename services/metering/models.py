"""Rows of metering.

Keys and hashes are 0x-hex in lower case, but for the many hashes of a run; signed objects are JSON as they
travelled.
"""

from datetime import datetime
from typing import Any

from sqlalchemy import (
    JSON,
    BigInteger,
    CheckConstraint,
    Column,
    Index,
    Integer,
    LargeBinary,
    Text,
    text,
)
from sqlalchemy.orm import registry
from sqlmodel import Field, SQLModel

from services.chassis.tables import UtcDateTime

# SQLite numbers rows by itself only where the primary key is exactly INTEGER.
BIG_ID = BigInteger().with_variant(Integer, "sqlite")


class MeteringTable(SQLModel, registry=registry()):
    """The base of this service's tables, in metadata of their own: all services may share one process."""


class Rental(MeteringTable, table=True):
    """What an agreement says about measuring, and how far its readings have come."""

    __tablename__ = "rental"

    rental_id: str = Field(primary_key=True)
    device: str = Field(index=True)
    meter: str
    renter_agent: str
    chain_id: int = Field(sa_type=BigInteger)
    escrow: str
    counter_caps: list[int] = Field(
        sa_type=JSON, description="largest growth of each counter, units per second"
    )
    start_at: int = Field(sa_type=BigInteger, description="Unix seconds")
    end_by: int = Field(sa_type=BigInteger, description="Unix seconds")
    max_total: str = Field(description="what ceilings may allow at most, base units; text: 96 bits")
    next_seq: int = Field(
        default=0, sa_type=BigInteger, description="all readings before this one are accepted"
    )
    agreed_at: datetime = Field(sa_type=UtcDateTime)
    oldest_at: datetime = Field(sa_type=UtcDateTime, description="no accepted reading arrived earlier")
    newest_at: datetime = Field(
        sa_type=UtcDateTime, description="nor later: between the two are the days to look in"
    )
    finished_at: datetime | None = Field(
        default=None,
        sa_type=UtcDateTime,
        description="when it was billed, past every dispute, or expired unfunded",
    )
    kept_from: int = Field(
        default=0,
        sa_type=BigInteger,
        sa_column_kwargs={"server_default": "0"},
        description="readings before this number are not kept any more",
    )


class ReadingRun(MeteringTable, table=True):
    """Consecutive readings of the gapless verified series; never changed. See `services.metering.runs`.

    PostgreSQL keeps the rows of each UTC day of ``received_at`` in a partition of their own. No key can
    then forbid that a number is stored twice: that is the work of the rental's ``next_seq``, which whoever
    stores readings has locked.
    """

    __tablename__ = "reading_run"
    __table_args__ = (
        CheckConstraint("last_seq >= first_seq AND last_seq < first_seq + 100", name="run_length"),
        CheckConstraint("length(hashes) = 32 * (last_seq - first_seq + 1)", name="run_hashes"),
        {"postgresql_partition_by": "RANGE (received_at)"},
    )

    rental_id: str = Field(primary_key=True)
    first_seq: int = Field(primary_key=True, sa_type=BigInteger)
    received_at: datetime = Field(
        primary_key=True, sa_type=UtcDateTime, description="when the last of them came"
    )
    last_seq: int = Field(sa_type=BigInteger)
    hashes: bytes = Field(sa_type=LargeBinary, description="32 bytes each, ascending")
    minutes: str = Field(sa_type=Text, description="JSON: in which minutes they were taken")
    document: str = Field(sa_type=Text, description="a ReadingBatch as JSON")


class WaitingReading(MeteringTable, table=True):
    """A reading signed by the meter that lies beyond a hole."""

    __tablename__ = "waiting_reading"

    rental_id: str = Field(primary_key=True)
    seq: int = Field(primary_key=True, sa_type=BigInteger)
    hash: str
    signed: dict[str, Any] = Field(sa_type=JSON)
    received_at: datetime = Field(sa_type=UtcDateTime)


class AcceptedCeiling(MeteringTable, table=True):
    """A ceiling that raised the one before; never changed."""

    __tablename__ = "ceiling"

    rental_id: str = Field(primary_key=True)
    number: int = Field(primary_key=True, sa_type=BigInteger)
    signed: dict[str, Any] = Field(sa_type=JSON)
    received_at: datetime = Field(sa_type=UtcDateTime)


class RefusalRow(MeteringTable, table=True):
    """Something that does not count, why, and the evidence. One row however often it is sent."""

    __tablename__ = "refusal"
    __table_args__ = (Index("refusal_of_device", "device", "id"),)

    id: int | None = Field(default=None, sa_column=Column(BIG_ID, primary_key=True, autoincrement=True))
    key: str = Field(unique=True, description="rental, number, code and hash")
    rental_id: str = Field(default="", index=True, description="empty where it names none")
    device: str | None = None
    seq: str | None = Field(
        default=None, description="text: a malicious 64-bit number fits no integer column"
    )
    code: str
    detail: str
    hash: str = Field(description="of the reading, or of the payload where it is no reading")
    evidence: str = Field(sa_type=Text, description="the payload as it came, cut at 8 KiB")
    against: dict[str, Any] | None = Field(
        default=None, sa_type=JSON, description="the signed reading of the same number that it contradicts"
    )
    at: datetime = Field(sa_type=UtcDateTime)
    resolved_at: datetime | None = Field(default=None, sa_type=UtcDateTime)


class Downlink(MeteringTable, table=True):
    """A message to a device, to be published in order of id."""

    __tablename__ = "downlink"
    __table_args__ = (
        Index(
            "downlink_unpublished",
            "id",
            sqlite_where=text("published_at IS NULL"),
            postgresql_where=text("published_at IS NULL"),
        ),
    )

    id: int | None = Field(default=None, sa_column=Column(BIG_ID, primary_key=True, autoincrement=True))
    topic: str
    payload: dict[str, Any] = Field(sa_type=JSON)
    created_at: datetime = Field(sa_type=UtcDateTime)
    published_at: datetime | None = Field(default=None, sa_type=UtcDateTime)


class ClosedDay(MeteringTable, table=True):
    """A UTC day whose readings are counted for good, and where its root is on the chain once it is there."""

    __tablename__ = "closed_day"

    day: int = Field(primary_key=True, description="days since 1970-01-01")
    root: str | None = Field(default=None, description="over one leaf a device; none where nobody measured")
    devices: int
    readings: int = Field(sa_type=BigInteger)
    closed_at: datetime = Field(sa_type=UtcDateTime)
    chain_id: int | None = Field(default=None, sa_type=BigInteger)
    contract: str | None = None
    publisher: str | None = None
    tx_hash: str | None = Field(default=None, description="of the confirmed announcement")
    block: int | None = Field(default=None, sa_type=BigInteger)
    seen_at: datetime | None = Field(default=None, sa_type=UtcDateTime, description="when it was confirmed")


class DeviceDayRow(MeteringTable, table=True):
    """A device's root over its readings of a closed day; never changed."""

    __tablename__ = "device_day"

    device: str = Field(primary_key=True)
    day: int = Field(primary_key=True, index=True, foreign_key="closed_day.day")
    root: str
    readings: int = Field(sa_type=BigInteger)


class DaySpan(MeteringTable, table=True):
    """Which of a rental's readings are under the root of a closed day: consecutive ones; never changed."""

    __tablename__ = "day_span"
    __table_args__ = (Index("day_span_of_device", "day", "device"),)

    rental_id: str = Field(primary_key=True)
    day: int = Field(primary_key=True, foreign_key="closed_day.day")
    device: str
    first_seq: int = Field(sa_type=BigInteger)
    last_seq: int = Field(sa_type=BigInteger)


class UsageBucket(MeteringTable, table=True):
    """What a rental's readings of one minute or hour amount to; grows while more of them arrive, and stays.

    Amounts and counters are those of the readings with the lowest and the highest number in it.
    """

    __tablename__ = "usage_bucket"

    rental_id: str = Field(primary_key=True)
    width: int = Field(primary_key=True, description="seconds: 60 or 3600")
    start: int = Field(primary_key=True, sa_type=BigInteger, description="Unix seconds")
    readings: int = Field(sa_type=BigInteger)
    first_seq: int = Field(sa_type=BigInteger)
    last_seq: int = Field(sa_type=BigInteger)
    first_amount: str = Field(description="base units; text: 96 bits")
    first_counters: str = Field(sa_type=Text, description="JSON, text: 256 bits each")
    last_amount: str
    last_counters: str = Field(sa_type=Text)


class RolledUp(MeteringTable, table=True):
    """How far a rental's readings are in its buckets: all before ``next_seq``."""

    __tablename__ = "rolled_up"

    rental_id: str = Field(primary_key=True)
    next_seq: int = Field(sa_type=BigInteger)
    target: int = Field(sa_type=BigInteger, description="where the transaction that rolls up now will stop")


class BrokerAccount(MeteringTable, table=True):
    """A user of the broker: a device, whoever rents it now, or a renter's agent that bargains.

    One row each; the first two for ever.
    """

    __tablename__ = "broker_account"

    username: str = Field(primary_key=True)
    device: str
    rental_id: str | None = Field(
        default=None, description="of the renter, or of a question; None for a device"
    )
    signer: str | None = Field(default=None, description="the key that was let in last")
    password_hash: str | None = Field(default=None, description="None: nobody is let in")
    expires_at: datetime | None = Field(default=None, sa_type=UtcDateTime)
    asked_ms: int = Field(
        default=0, sa_type=BigInteger, description="of the last challenge answered: only a later one counts"
    )
    meter: str | None = Field(
        default=None, description="the device's key since the chain changed it, 0x where it has none"
    )
    meter_seen_at: datetime | None = Field(default=None, sa_type=UtcDateTime)
    change: int = Field(
        default=0, sa_type=BigInteger, index=True, description="the number of its last change"
    )


class BrokerChange(MeteringTable, table=True):
    """How many changes of accounts there were: one row, counted within each change's transaction."""

    __tablename__ = "broker_change"

    id: int = Field(default=1, primary_key=True)
    number: int = Field(default=0, sa_type=BigInteger)


class WatchRow(MeteringTable, table=True):
    """How far a running rental's readings are judged for plausibility, and what the rules remember."""

    __tablename__ = "watch"

    rental_id: str = Field(primary_key=True)
    roles: list[str] = Field(sa_type=JSON, description="what each counter counts: use, time, paid_time")
    next_seq: int = Field(default=0, sa_type=BigInteger, description="all readings before this are judged")
    state: dict[str, Any] = Field(default_factory=dict, sa_type=JSON)
    judged_at: datetime = Field(sa_type=UtcDateTime)


class PatternRow(MeteringTable, table=True):
    """How a running rental's counters grew over 64 readings up to a number, as a hash."""

    __tablename__ = "pattern"
    __table_args__ = (Index("pattern_of_rental", "rental_id", "hash"),)

    rental_id: str = Field(primary_key=True)
    seq: int = Field(primary_key=True, sa_type=BigInteger)
    hash: int = Field(sa_type=BigInteger)


class FlagRow(MeteringTable, table=True):
    """What looks wrong about a reading that counts; cleared by a person, never deleted."""

    __tablename__ = "flag"

    rental_id: str = Field(primary_key=True)
    seq: int = Field(primary_key=True, sa_type=BigInteger)
    code: str = Field(primary_key=True)
    reason: str
    raised_at: datetime = Field(sa_type=UtcDateTime)
    cleared_at: datetime | None = Field(default=None, sa_type=UtcDateTime)
    cleared_because: str | None = None
