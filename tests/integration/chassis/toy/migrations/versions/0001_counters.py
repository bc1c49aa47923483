"""Counters and what was heard of them."""

import sqlalchemy as sa
from alembic import op

from services.chassis.tables import create_outbox_and_inbox, drop_outbox_and_inbox

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Create the tables."""
    op.create_table(
        "counter",
        sa.Column("name", sa.String(), primary_key=True),
        sa.Column("value", sa.Integer(), nullable=False),
    )
    op.create_table(
        "heard",
        sa.Column("name", sa.String(), primary_key=True),
        sa.Column("times", sa.Integer(), nullable=False),
    )
    create_outbox_and_inbox(op)


def downgrade() -> None:
    """Drop the tables."""
    drop_outbox_and_inbox(op)
    op.drop_table("heard")
    op.drop_table("counter")
