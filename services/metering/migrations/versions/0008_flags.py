"""What looks wrong about readings, and how far they are judged."""

import sqlalchemy as sa
from alembic import op

from services.chassis.tables import UtcDateTime

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Create the tables."""
    op.create_table(
        "watch",
        sa.Column("rental_id", sa.String, primary_key=True),
        sa.Column("roles", sa.JSON, nullable=False),
        sa.Column("next_seq", sa.BigInteger, nullable=False),
        sa.Column("state", sa.JSON, nullable=False),
        sa.Column("judged_at", UtcDateTime, nullable=False),
    )
    op.create_table(
        "pattern",
        sa.Column("rental_id", sa.String, primary_key=True),
        sa.Column("seq", sa.BigInteger, primary_key=True),
        sa.Column("hash", sa.BigInteger, nullable=False),
    )
    op.create_index("pattern_of_rental", "pattern", ["rental_id", "hash"])
    op.create_table(
        "flag",
        sa.Column("rental_id", sa.String, primary_key=True),
        sa.Column("seq", sa.BigInteger, primary_key=True),
        sa.Column("code", sa.String, primary_key=True),
        sa.Column("reason", sa.String, nullable=False),
        sa.Column("raised_at", UtcDateTime, nullable=False),
        sa.Column("cleared_at", UtcDateTime, nullable=True),
        sa.Column("cleared_because", sa.String, nullable=True),
    )


def downgrade() -> None:
    """Drop the tables."""
    for table in ("watch", "pattern", "flag"):
        op.drop_table(table)
