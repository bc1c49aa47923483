"""People's words on rentals above their agents' thresholds."""

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Create the table."""
    op.create_table(
        "approval",
        sa.Column("rental_id", sa.String, primary_key=True),
        sa.Column("principal", sa.String, primary_key=True),
        sa.Column("signed", sa.JSON, nullable=False),
    )


def downgrade() -> None:
    """Drop the table."""
    op.drop_table("approval")
