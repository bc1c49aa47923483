"""Devices and their listings."""

import sqlalchemy as sa
from alembic import op

from services.chassis.tables import UtcDateTime, create_outbox_and_inbox, drop_outbox_and_inbox

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Create the tables."""
    create_outbox_and_inbox(op)
    op.create_table(
        "device",
        sa.Column("device", sa.String, primary_key=True),
        sa.Column("owner", sa.String, nullable=False),
        sa.Column("owner_agent", sa.String, nullable=False),
        sa.Column("meter", sa.String, nullable=False),
        sa.Column("mandate", sa.JSON, nullable=False),
        sa.Column("possession_valid_until", sa.BigInteger, nullable=False),
        sa.Column("admitted_at", UtcDateTime, nullable=False),
        sa.Column("registered", sa.Boolean, nullable=False),
        sa.Column("tx_hash", sa.String, nullable=True),
        sa.Column("heartbeat_at", sa.BigInteger, nullable=False),
        sa.Column("last_seen", UtcDateTime, nullable=True),
        sa.Column("listing", sa.String, nullable=True),
    )
    op.create_table(
        "listing",
        sa.Column("listing", sa.String, primary_key=True),
        sa.Column("device", sa.String, sa.ForeignKey("device.device"), nullable=False),
        sa.Column("kind", sa.String, nullable=False),
        sa.Column("words", sa.String, nullable=False),
        sa.Column("document", sa.JSON, nullable=False),
        sa.Column("signature", sa.String, nullable=False),
        sa.Column("valid_until", sa.BigInteger, nullable=False),
        sa.Column("published_at", UtcDateTime, nullable=False),
    )
    op.create_index("ix_listing_device", "listing", ["device"])
    op.create_index("ix_listing_kind", "listing", ["kind"])


def downgrade() -> None:
    """Drop the tables."""
    op.drop_table("listing")
    op.drop_table("device")
    drop_outbox_and_inbox(op)
