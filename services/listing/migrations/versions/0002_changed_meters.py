"""When the chain was last seen to change a device's key."""

import sqlalchemy as sa
from alembic import op

from services.chassis.tables import UtcDateTime

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add the column; no change was heard of yet."""
    op.add_column("device", sa.Column("meter_seen_at", UtcDateTime, nullable=True))


def downgrade() -> None:
    """Drop the column."""
    with op.batch_alter_table("device") as table:
        table.drop_column("meter_seen_at")
