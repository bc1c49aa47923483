"""Readings that look wrong, and what the renter has acknowledged meanwhile."""

import sqlalchemy as sa
from alembic import op

from services.chassis.tables import UtcDateTime

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Create the tables."""
    op.create_table(
        "flag",
        sa.Column("rental_id", sa.String, primary_key=True),
        sa.Column("seq", sa.BigInteger, primary_key=True),
        sa.Column("code", sa.String, primary_key=True),
        sa.Column("reason", sa.String, nullable=False),
        sa.Column("amount_due", sa.String(78), nullable=False),
        sa.Column("raised_at", UtcDateTime, nullable=False),
        sa.Column("cleared_at", UtcDateTime, nullable=True),
    )
    op.create_table(
        "acknowledged_reading",
        sa.Column("rental_id", sa.String, primary_key=True),
        sa.Column("amount", sa.String(78), nullable=False),
        sa.Column("signed", sa.JSON, nullable=False),
    )


def downgrade() -> None:
    """Drop the tables."""
    for table in ("flag", "acknowledged_reading"):
        op.drop_table(table)
