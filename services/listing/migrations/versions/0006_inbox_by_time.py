"""The inbox is indexed by time: what was heard is forgotten some time after."""

from alembic import op

from services.chassis.tables import drop_inbox_by_time, index_inbox_by_time

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Create the index."""
    index_inbox_by_time(op)


def downgrade() -> None:
    """Drop it."""
    drop_inbox_by_time(op)
