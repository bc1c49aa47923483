"""Rentals, their readings and ceilings, refusals, and messages to devices."""

import sqlalchemy as sa
from alembic import op

from services.chassis.tables import UtcDateTime, create_outbox_and_inbox, drop_outbox_and_inbox

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None

BIG_ID = sa.BigInteger().with_variant(sa.Integer, "sqlite")


def upgrade() -> None:
    """Create the tables."""
    create_outbox_and_inbox(op)
    op.create_table(
        "rental",
        sa.Column("rental_id", sa.String, primary_key=True),
        sa.Column("device", sa.String, nullable=False),
        sa.Column("meter", sa.String, nullable=False),
        sa.Column("renter_agent", sa.String, nullable=False),
        sa.Column("chain_id", sa.BigInteger, nullable=False),
        sa.Column("escrow", sa.String, nullable=False),
        sa.Column("counter_caps", sa.JSON, nullable=False),
        sa.Column("start_at", sa.BigInteger, nullable=False),
        sa.Column("end_by", sa.BigInteger, nullable=False),
        sa.Column("max_total", sa.String, nullable=False),
        sa.Column("next_seq", sa.BigInteger, nullable=False),
        sa.Column("agreed_at", UtcDateTime, nullable=False),
    )
    op.create_index("ix_rental_device", "rental", ["device"])
    for table in ("reading", "waiting_reading"):
        op.create_table(
            table,
            sa.Column("rental_id", sa.String, primary_key=True),
            sa.Column("seq", sa.BigInteger, primary_key=True, autoincrement=False),
            sa.Column("hash", sa.String, nullable=False),
            sa.Column("signed", sa.JSON, nullable=False),
            sa.Column("received_at", UtcDateTime, nullable=False),
        )
    op.create_table(
        "ceiling",
        sa.Column("rental_id", sa.String, primary_key=True),
        sa.Column("number", sa.BigInteger, primary_key=True, autoincrement=False),
        sa.Column("signed", sa.JSON, nullable=False),
        sa.Column("received_at", UtcDateTime, nullable=False),
    )
    _create_refusals()
    _create_downlink()


def _create_refusals() -> None:
    op.create_table(
        "refusal",
        sa.Column("id", BIG_ID, primary_key=True, autoincrement=True),
        sa.Column("key", sa.String, nullable=False, unique=True),
        sa.Column("rental_id", sa.String, nullable=False),
        sa.Column("device", sa.String, nullable=True),
        sa.Column("seq", sa.String, nullable=True),
        sa.Column("code", sa.String, nullable=False),
        sa.Column("detail", sa.String, nullable=False),
        sa.Column("hash", sa.String, nullable=False),
        sa.Column("evidence", sa.Text, nullable=False),
        sa.Column("against", sa.JSON, nullable=True),
        sa.Column("at", UtcDateTime, nullable=False),
        sa.Column("resolved_at", UtcDateTime, nullable=True),
    )
    op.create_index("ix_refusal_rental_id", "refusal", ["rental_id"])


def _create_downlink() -> None:
    op.create_table(
        "downlink",
        sa.Column("id", BIG_ID, primary_key=True, autoincrement=True),
        sa.Column("topic", sa.String, nullable=False),
        sa.Column("payload", sa.JSON, nullable=False),
        sa.Column("created_at", UtcDateTime, nullable=False),
        sa.Column("published_at", UtcDateTime, nullable=True),
    )
    unpublished = sa.text("published_at IS NULL")
    op.create_index(
        "downlink_unpublished", "downlink", ["id"], sqlite_where=unpublished, postgresql_where=unpublished
    )


def downgrade() -> None:
    """Drop the tables."""
    for table in ("downlink", "refusal", "ceiling", "waiting_reading", "reading", "rental"):
        op.drop_table(table)
    drop_outbox_and_inbox(op)
