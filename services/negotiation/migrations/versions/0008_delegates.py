"""Delegates of the platform: their keys, their appointments, and why they did what they did."""

import sqlalchemy as sa
from alembic import op

from services.chassis.tables import UtcDateTime

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Create the tables, and the place for a session's appointment."""
    op.add_column("quote", sa.Column("appointment", sa.JSON))
    op.create_table(
        "delegate_key",
        sa.Column("delegate", sa.String, primary_key=True),
        sa.Column("device", sa.String, nullable=False, index=True),
        sa.Column("sealed", sa.String, nullable=False),
        sa.Column("made_at", UtcDateTime, nullable=False),
    )
    op.create_table(
        "appointment",
        sa.Column("device", sa.String, primary_key=True),
        sa.Column("delegate", sa.String, sa.ForeignKey("delegate_key.delegate"), nullable=False, unique=True),
        sa.Column("owner", sa.String, nullable=False),
        sa.Column("revocation", sa.String, nullable=False),
        sa.Column("order", sa.JSON, nullable=False),
        sa.Column("valid_until", sa.BigInteger, nullable=False, index=True),
        sa.Column("appointed_at", UtcDateTime, nullable=False),
    )
    op.create_table(
        "delegate_decision",
        sa.Column("quote_id", sa.String, primary_key=True),
        sa.Column("round", sa.Integer, primary_key=True),
        sa.Column("owner", sa.String, nullable=False),
        sa.Column("move", sa.String, nullable=False),
        sa.Column("code", sa.String),
        sa.Column("reason", sa.String, nullable=False),
        sa.Column("made_at", UtcDateTime, nullable=False),
        sa.Column("wanted", sa.JSON),
        sa.Column("decided", sa.JSON),
        sa.Column("signed", sa.JSON),
    )


def downgrade() -> None:
    """Drop them."""
    op.drop_table("delegate_decision")
    op.drop_table("appointment")
    op.drop_table("delegate_key")
    op.drop_column("quote", "appointment")
