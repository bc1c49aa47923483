"""On PostgreSQL, indexes that answer for words: searches read only the listings that they show.

The orders of search results carry the words along. A word that few listings have is found by its parts of
three letters: pg_trgm comes with PostgreSQL, and a database's owner may add it.
"""

from alembic import op

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None

BESIDE = ["words", "valid_until"]


def upgrade() -> None:
    """Make the indexes anew, with the words in them."""
    if op.get_bind().dialect.name != "postgresql":
        return
    _make_orders_anew(BESIDE)
    op.execute("CREATE EXTENSION IF NOT EXISTS pg_trgm")
    op.create_index(
        "ix_listing_words",
        "listing",
        ["words"],
        postgresql_using="gin",
        postgresql_ops={"words": "gin_trgm_ops"},
        # Who lists waits a moment longer, and nobody's search has to read what is not in the index yet.
        postgresql_with={"fastupdate": "off"},
    )


def downgrade() -> None:
    """Make them as they were."""
    if op.get_bind().dialect.name != "postgresql":
        return
    op.drop_index("ix_listing_words", "listing")
    op.execute("DROP EXTENSION pg_trgm")
    _make_orders_anew([])


def _make_orders_anew(beside: list[str]) -> None:
    for name, columns in (
        ("ix_listing_newest", ["published_at", "listing"]),
        ("ix_listing_kind_newest", ["kind", "published_at", "listing"]),
    ):
        op.drop_index(name, "listing")
        op.create_index(name, "listing", columns, postgresql_include=beside)
