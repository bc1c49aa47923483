"""Readings."""

import sqlalchemy as sa
from alembic import op

from services.chassis.tables import create_outbox_and_inbox, drop_outbox_and_inbox

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Create the tables."""
    create_outbox_and_inbox(op)
    op.create_table(
        "kept_reading",
        sa.Column("rental_id", sa.String, primary_key=True),
        sa.Column("seq", sa.Integer, primary_key=True),
        sa.Column("signed", sa.JSON, nullable=False),
    )


def downgrade() -> None:
    """Drop the tables."""
    op.drop_table("kept_reading")
    drop_outbox_and_inbox(op)
