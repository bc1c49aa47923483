"""When a rental was over, and from which number on its readings are kept; partitions for the days to come."""

import sqlalchemy as sa
from alembic import op

from services.chassis.tables import UtcDateTime

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None

DAYS_AHEAD = 7


def upgrade() -> None:
    """Add the columns, and make what the service's timer would make too late for its first readings."""
    with op.batch_alter_table("rental") as rental:
        rental.add_column(sa.Column("finished_at", UtcDateTime, nullable=True))
        rental.add_column(sa.Column("kept_from", sa.BigInteger, nullable=False, server_default="0"))
    if op.get_bind().dialect.name == "postgresql":
        _make_partitions()


def downgrade() -> None:
    """Drop the columns; the partitions stay."""
    with op.batch_alter_table("rental") as rental:
        rental.drop_column("kept_from")
        rental.drop_column("finished_at")


def _make_partitions() -> None:
    days = sa.text(
        "SELECT to_char(day, 'YYYYMMDD'), day::text, (day + 1)::text"
        " FROM (SELECT (now() AT TIME ZONE 'UTC')::date + n AS day"
        " FROM generate_series(0, :ahead) AS n) AS days"
        " WHERE to_regclass('reading_run_' || to_char(day, 'YYYYMMDD')) IS NULL"
        " AND NOT EXISTS (SELECT 1 FROM reading_run_other WHERE (received_at AT TIME ZONE 'UTC')::date = day)"
    )
    for name, begin, end in op.get_bind().execute(days, {"ahead": DAYS_AHEAD}).all():
        op.execute(
            f"CREATE TABLE reading_run_{name} PARTITION OF reading_run"
            f" FOR VALUES FROM ('{begin} 00:00:00+00') TO ('{end} 00:00:00+00')"
        )
