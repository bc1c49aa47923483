"""Answers kept for repeated requests."""

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
        "kept_answer",
        sa.Column("key", sa.String, primary_key=True),
        sa.Column("request_hash", sa.String, nullable=False),
        sa.Column("status", sa.Integer, nullable=False),
        sa.Column("media_type", sa.String, nullable=False),
        sa.Column("body", sa.LargeBinary, nullable=False),
        sa.Column("asked_at", UtcDateTime, nullable=False),
    )
    op.create_index("ix_kept_answer_asked_at", "kept_answer", ["asked_at"])


def downgrade() -> None:
    """Drop the tables."""
    op.drop_table("kept_answer")
    drop_outbox_and_inbox(op)
