"""From a listing to the device whose listing counts, by an index: a page of results is joined row by row."""

from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add the index."""
    op.create_index("ix_device_listing", "device", ["listing"])


def downgrade() -> None:
    """Drop it."""
    op.drop_index("ix_device_listing", "device")
