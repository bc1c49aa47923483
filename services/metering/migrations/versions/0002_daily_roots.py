"""Closed days, their roots by device, and which readings are under them."""

import sqlalchemy as sa
from alembic import op

from services.chassis.tables import UtcDateTime

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Create the tables."""
    op.create_table(
        "closed_day",
        sa.Column("day", sa.Integer, primary_key=True, autoincrement=False),
        sa.Column("root", sa.String, nullable=True),
        sa.Column("devices", sa.Integer, nullable=False),
        sa.Column("readings", sa.BigInteger, nullable=False),
        sa.Column("closed_at", UtcDateTime, nullable=False),
        sa.Column("chain_id", sa.BigInteger, nullable=True),
        sa.Column("contract", sa.String, nullable=True),
        sa.Column("publisher", sa.String, nullable=True),
        sa.Column("tx_hash", sa.String, nullable=True),
        sa.Column("block", sa.BigInteger, nullable=True),
        sa.Column("seen_at", UtcDateTime, nullable=True),
    )
    op.create_table(
        "device_day",
        sa.Column("device", sa.String, primary_key=True),
        sa.Column("day", sa.Integer, sa.ForeignKey("closed_day.day"), primary_key=True, autoincrement=False),
        sa.Column("root", sa.String, nullable=False),
        sa.Column("readings", sa.BigInteger, nullable=False),
    )
    op.create_index("ix_device_day_day", "device_day", ["day"])
    op.create_table(
        "day_span",
        sa.Column("rental_id", sa.String, primary_key=True),
        sa.Column("day", sa.Integer, sa.ForeignKey("closed_day.day"), primary_key=True, autoincrement=False),
        sa.Column("device", sa.String, nullable=False),
        sa.Column("first_seq", sa.BigInteger, nullable=False),
        sa.Column("last_seq", sa.BigInteger, nullable=False),
    )
    op.create_index("day_span_of_device", "day_span", ["day", "device"])


def downgrade() -> None:
    """Drop the tables."""
    for table in ("day_span", "device_day", "closed_day"):
        op.drop_table(table)
