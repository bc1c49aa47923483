"""Outbox and inbox."""

from alembic import op

from services.chassis.tables import create_outbox_and_inbox

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Create the tables."""
    create_outbox_and_inbox(op)
