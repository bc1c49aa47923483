"""Auctions: what was signed in them, who was awarded what, and the price that a quote of a winner is for."""

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None

WON = ("won_auction", "won_amount")


def upgrade() -> None:
    """Create the tables and the columns."""
    op.create_table(
        "auction",
        sa.Column("auction", sa.String, primary_key=True),
        sa.Column("rule", sa.String, nullable=False),
        sa.Column("kind", sa.String, nullable=True),
        sa.Column("notice", sa.JSON, nullable=False),
        sa.Column("domain", sa.JSON, nullable=False),
        sa.Column("listings", sa.JSON, nullable=False),
        sa.Column("opened_at", sa.BigInteger, nullable=False),
        sa.Column("closed_at", sa.BigInteger, nullable=True),
        sa.Column("forfeits", sa.JSON, nullable=False),
        sa.Column("due_at", sa.BigInteger, nullable=True, index=True),
    )
    op.create_table(
        "auction_entry",
        sa.Column("auction", sa.String, sa.ForeignKey("auction.auction"), primary_key=True),
        sa.Column("number", sa.Integer, primary_key=True),
        sa.Column("kind", sa.String, nullable=False),
        sa.Column("hash", sa.String, nullable=False, index=True),
        sa.Column("signed", sa.JSON, nullable=False),
        sa.Column("listing", sa.JSON, nullable=True),
        sa.Column("came_at", sa.BigInteger, nullable=False),
    )
    op.create_table(
        "auction_award",
        sa.Column("auction", sa.String, sa.ForeignKey("auction.auction"), primary_key=True),
        sa.Column("bidder", sa.String, primary_key=True),
        sa.Column("device", sa.String, nullable=False, index=True),
        sa.Column("award", sa.JSON, nullable=False),
        sa.Column("until", sa.BigInteger, nullable=False),
        sa.Column("state", sa.String, nullable=False),
        sa.Column("quote_id", sa.String, nullable=True, unique=True),
    )
    op.create_table(
        "auctioned_device",
        sa.Column("device", sa.String, primary_key=True),
        sa.Column("auction", sa.String, nullable=False, index=True),
    )
    for name in WON:
        op.add_column("quote", sa.Column(name, sa.String, nullable=True))


def downgrade() -> None:
    """Drop them."""
    for name in WON:
        op.drop_column("quote", name)
    for table in ("auctioned_device", "auction_award", "auction_entry", "auction"):
        op.drop_table(table)
