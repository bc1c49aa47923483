"""Quote sessions, their offers, agreements, and taken devices."""

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
        "quote",
        sa.Column("quote_id", sa.String, primary_key=True),
        sa.Column("device", sa.String, nullable=False),
        sa.Column("renter", sa.String, nullable=False),
        sa.Column("listing", sa.String, nullable=False),
        sa.Column("request", sa.JSON, nullable=False),
        sa.Column("document", sa.JSON, nullable=False),
        sa.Column("mandate", sa.JSON, nullable=False),
        sa.Column("terms", sa.JSON, nullable=False),
        sa.Column("status", sa.String, nullable=False),
        sa.Column("asked_at", UtcDateTime, nullable=False),
        sa.Column("answer_by", UtcDateTime, nullable=False),
        sa.Column("owner_signature", sa.String, nullable=True),
        sa.Column("renter_signature", sa.String, nullable=True),
    )
    op.create_index("ix_quote_device", "quote", ["device"])
    op.create_index(
        "quote_one_open_per_renter",
        "quote",
        ["device", "renter"],
        unique=True,
        sqlite_where=sa.text("status = 'open'"),
        postgresql_where=sa.text("status = 'open'"),
    )
    op.create_table(
        "offer",
        sa.Column("quote_id", sa.String, sa.ForeignKey("quote.quote_id"), primary_key=True),
        sa.Column("round", sa.Integer, primary_key=True, autoincrement=False),
        sa.Column("offer", sa.String, nullable=False, unique=True),
        sa.Column("signed", sa.JSON, nullable=False),
        sa.Column("made_at", UtcDateTime, nullable=False),
    )
    op.create_table(
        "agreement",
        sa.Column("rental_id", sa.String, primary_key=True),
        sa.Column("quote_id", sa.String, sa.ForeignKey("quote.quote_id"), nullable=False, unique=True),
        sa.Column("signed", sa.JSON, nullable=False),
        sa.Column("agreed_at", UtcDateTime, nullable=False),
    )
    op.create_table(
        "taken_device",
        sa.Column("device", sa.String, primary_key=True),
        sa.Column("rental_id", sa.String, nullable=False, unique=True),
        sa.Column("until", UtcDateTime, nullable=False),
    )


def downgrade() -> None:
    """Drop the tables."""
    for table in ("taken_device", "agreement", "offer", "quote"):
        op.drop_table(table)
    drop_outbox_and_inbox(op)
