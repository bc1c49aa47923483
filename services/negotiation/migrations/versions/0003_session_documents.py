"""The signatures under a session's listing and request, for whoever replays it."""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None

COLUMNS = ("listing_signature", "request_signature")


def upgrade() -> None:
    """Add the columns; earlier sessions keep none."""
    for name in COLUMNS:
        op.add_column("quote", sa.Column(name, sa.String, nullable=True))


def downgrade() -> None:
    """Drop the columns."""
    for name in COLUMNS:
        op.drop_column("quote", name)
