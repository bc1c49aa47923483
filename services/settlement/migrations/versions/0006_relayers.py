"""Which relayer follows which."""

import sqlalchemy as sa
from alembic import op

from services.chassis.tables import UtcDateTime

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Create the table."""
    op.create_table(
        "relayer",
        sa.Column("number", sa.Integer, primary_key=True, autoincrement=False),
        sa.Column("address", sa.String, nullable=False),
        sa.Column("made_at", UtcDateTime, nullable=False),
        sa.Column("took_over_at", UtcDateTime, nullable=True),
    )


def downgrade() -> None:
    """Drop the table."""
    op.drop_table("relayer")
