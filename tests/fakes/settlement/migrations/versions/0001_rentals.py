"""Rentals."""

import sqlalchemy as sa
from alembic import op

from services.chassis.tables import UtcDateTime, create_outbox_and_inbox

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Create the tables."""
    create_outbox_and_inbox(op)
    op.create_table(
        "rental",
        sa.Column("rental_id", sa.String, primary_key=True),
        sa.Column("view", sa.JSON, nullable=False),
        sa.Column("agreed_at", UtcDateTime, nullable=False),
    )
