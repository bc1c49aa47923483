"""Minutes and hours of every rental, and how far its readings are in them."""

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Create the tables; the service fills them from the readings that are there."""
    op.create_table(
        "usage_bucket",
        sa.Column("rental_id", sa.String, primary_key=True),
        sa.Column("width", sa.Integer, primary_key=True, autoincrement=False),
        sa.Column("start", sa.BigInteger, primary_key=True, autoincrement=False),
        sa.Column("readings", sa.BigInteger, nullable=False),
        sa.Column("first_seq", sa.BigInteger, nullable=False),
        sa.Column("last_seq", sa.BigInteger, nullable=False),
        sa.Column("first_amount", sa.String, nullable=False),
        sa.Column("first_counters", sa.Text, nullable=False),
        sa.Column("last_amount", sa.String, nullable=False),
        sa.Column("last_counters", sa.Text, nullable=False),
    )
    op.create_table(
        "rolled_up",
        sa.Column("rental_id", sa.String, primary_key=True),
        sa.Column("next_seq", sa.BigInteger, nullable=False),
        sa.Column("target", sa.BigInteger, nullable=False),
    )


def downgrade() -> None:
    """Drop the tables."""
    op.drop_table("rolled_up")
    op.drop_table("usage_bucket")
