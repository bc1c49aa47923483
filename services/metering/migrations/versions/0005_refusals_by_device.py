"""What was refused of a device, newest first."""

from alembic import op

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Index refusals by the device whose topic they came on."""
    op.create_index("refusal_of_device", "refusal", ["device", "id"])


def downgrade() -> None:
    """Drop the index."""
    op.drop_index("refusal_of_device", "refusal")
