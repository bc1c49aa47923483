"""What owners' mandates have promised, and which of them were revoked."""

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
        "mandate_reservation",
        sa.Column("rental_id", sa.String, primary_key=True),
        sa.Column("mandate", sa.String, nullable=False),
        sa.Column("amount", sa.String, nullable=False),
        sa.Column("stage", sa.String, nullable=False),
        sa.Column("lapses_at", UtcDateTime, nullable=False),
        sa.Column("fund_by", sa.BigInteger, nullable=False),
    )
    op.create_index("ix_mandate_reservation_mandate", "mandate_reservation", ["mandate"])
    op.create_table(
        "revocation",
        sa.Column("principal", sa.String, primary_key=True),
        sa.Column("subject", sa.String, primary_key=True),
        sa.Column("signed", sa.JSON, nullable=False),
    )


def downgrade() -> None:
    """Drop the tables."""
    for table in ("revocation", "mandate_reservation"):
        op.drop_table(table)
