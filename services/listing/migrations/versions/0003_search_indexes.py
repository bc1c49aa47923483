"""Indexes in the order of search results, so that a page costs the same among a thousand and a million."""

from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add the order of all listings, of each kind's, and of signs of life."""
    op.create_index("ix_listing_newest", "listing", ["published_at", "listing"])
    op.create_index("ix_listing_kind_newest", "listing", ["kind", "published_at", "listing"])
    op.create_index("ix_device_last_seen", "device", ["last_seen"])
    op.drop_index("ix_listing_kind", "listing")


def downgrade() -> None:
    """Drop them again."""
    op.create_index("ix_listing_kind", "listing", ["kind"])
    op.drop_index("ix_device_last_seen", "device")
    op.drop_index("ix_listing_kind_newest", "listing")
    op.drop_index("ix_listing_newest", "listing")
