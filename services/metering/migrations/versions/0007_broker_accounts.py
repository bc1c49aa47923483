"""Who is let in at the broker."""

import sqlalchemy as sa
from alembic import op

from services.chassis.tables import UtcDateTime

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Create the tables, and begin to count."""
    op.create_table(
        "broker_account",
        sa.Column("username", sa.String, primary_key=True),
        sa.Column("device", sa.String, nullable=False),
        sa.Column("rental_id", sa.String, nullable=True),
        sa.Column("signer", sa.String, nullable=True),
        sa.Column("password_hash", sa.String, nullable=True),
        sa.Column("expires_at", UtcDateTime, nullable=True),
        sa.Column("asked_ms", sa.BigInteger, nullable=False),
        sa.Column("meter", sa.String, nullable=True),
        sa.Column("meter_seen_at", UtcDateTime, nullable=True),
        sa.Column("change", sa.BigInteger, nullable=False),
    )
    op.create_index("ix_broker_account_change", "broker_account", ["change"])
    counted = op.create_table(
        "broker_change",
        sa.Column("id", sa.Integer, primary_key=True, autoincrement=False),
        sa.Column("number", sa.BigInteger, nullable=False),
    )
    op.bulk_insert(counted, [{"id": 1, "number": 0}])


def downgrade() -> None:
    """Drop the tables."""
    for table in ("broker_change", "broker_account"):
        op.drop_table(table)
