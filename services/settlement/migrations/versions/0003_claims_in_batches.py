"""Claims in batches: which rentals a transaction claims for, and logs that are about many rentals."""

import sqlalchemy as sa
from alembic import op

from services.chassis.tables import UtcDateTime

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None

LOG_COLUMNS = "block, position, tx_hash, name, subject, arguments"


def upgrade() -> None:
    """Create the table, and number the rows of a log."""
    op.create_table(
        "batched_claim",
        sa.Column(
            "transaction_id",
            sa.BigInteger,
            sa.ForeignKey("chain_transaction.id"),
            primary_key=True,
            autoincrement=False,
        ),
        sa.Column("rental_id", sa.String, primary_key=True),
        sa.Column("key", sa.String, nullable=False),
        sa.Column("seq", sa.BigInteger, nullable=False),
        sa.Column("rows", sa.Integer, nullable=False),
        sa.Column("outcome", sa.String, nullable=True),
        sa.Column("block", sa.BigInteger, nullable=True),
        sa.Column("told_at", UtcDateTime, nullable=True),
    )
    for column in ("rental_id", "key"):
        op.create_index(f"ix_batched_claim_{column}", "batched_claim", [column])
    row = sa.Column("row", sa.Integer, primary_key=True, autoincrement=False)
    _copy_logs(row, values=f"{LOG_COLUMNS}, 0", columns=f"{LOG_COLUMNS}, row", keep="")


def downgrade() -> None:
    """Drop the table, and all rows of a log but the first."""
    _copy_logs(None, values=LOG_COLUMNS, columns=LOG_COLUMNS, keep=" WHERE row = 0")
    op.drop_table("batched_claim")


def _copy_logs(row: sa.Column[int] | None, *, values: str, columns: str, keep: str) -> None:
    """Make the table of logs anew: SQLite cannot change a primary key."""
    op.drop_index("ix_chain_log_subject", "chain_log")
    op.rename_table("chain_log", "old_chain_log")
    op.create_table(
        "chain_log",
        sa.Column("block", sa.BigInteger, primary_key=True, autoincrement=False),
        sa.Column("position", sa.BigInteger, primary_key=True, autoincrement=False),
        *(() if row is None else (row,)),
        sa.Column("tx_hash", sa.String, nullable=False),
        sa.Column("name", sa.String, nullable=False),
        sa.Column("subject", sa.String, nullable=False),
        sa.Column("arguments", sa.JSON, nullable=False),
    )
    copied = f"INSERT INTO chain_log ({columns}) SELECT {values} FROM old_chain_log{keep}"  # noqa: S608
    op.execute(copied)
    op.drop_table("old_chain_log")
    op.create_index("ix_chain_log_subject", "chain_log", ["subject"])
