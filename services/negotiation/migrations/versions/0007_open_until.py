"""Which open sessions run out next: nobody looks through all of them every few seconds."""

import sqlalchemy as sa
from alembic import op

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Create the index."""
    op.create_index(
        "quote_open_until",
        "quote",
        ["answer_by"],
        sqlite_where=sa.text("status = 'open'"),
        postgresql_where=sa.text("status = 'open'"),
    )


def downgrade() -> None:
    """Drop the index."""
    op.drop_index("quote_open_until", "quote")
