"""Readings that came before the one they follow."""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Create the table."""
    op.create_table(
        "early_reading",
        sa.Column("rental_id", sa.String, primary_key=True),
        sa.Column("seq", sa.BigInteger, primary_key=True),
        sa.Column("signed", sa.JSON, nullable=False),
    )


def downgrade() -> None:
    """Drop the table."""
    op.drop_table("early_reading")
