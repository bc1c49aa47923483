"""Agreements that were lost, and handed in again by one of their sides."""

import sqlalchemy as sa
from alembic import op

from services.chassis.tables import UtcDateTime

revision = "0009"
down_revision = "0008"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Create the table."""
    op.create_table(
        "agreement_taken_back",
        sa.Column("rental_id", sa.String, primary_key=True),
        sa.Column("quote_id", sa.String, nullable=False),
        sa.Column("signed", sa.JSON, nullable=False),
        sa.Column("taken_at", UtcDateTime, nullable=False),
    )


def downgrade() -> None:
    """Drop it."""
    op.drop_table("agreement_taken_back")
