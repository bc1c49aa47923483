"""Rentals, their chain transactions, the chain's logs, and bills."""

import sqlalchemy as sa
from alembic import op

from services.chassis.tables import UtcDateTime, create_outbox_and_inbox, drop_outbox_and_inbox

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None

BIG_ID = sa.BigInteger().with_variant(sa.Integer, "sqlite")
AMOUNT = sa.String(78)
TABLES = (
    "lease",
    "bill",
    "device",
    "seen_block",
    "chain_log",
    "attempt",
    "chain_transaction",
    "refusal",
    "rental",
)


def upgrade() -> None:
    """Create the tables."""
    create_outbox_and_inbox(op)
    _create_rentals()
    _create_transactions()
    _create_chain()
    _create_bills()


def downgrade() -> None:
    """Drop the tables."""
    for table in TABLES:
        op.drop_table(table)
    drop_outbox_and_inbox(op)


def _create_rentals() -> None:
    op.create_table(
        "rental",
        sa.Column("rental_id", sa.String, primary_key=True),
        sa.Column("quote_id", sa.String, nullable=False),
        sa.Column("device", sa.String, nullable=False),
        sa.Column("renter", sa.String, nullable=False),
        sa.Column("signed", sa.JSON, nullable=False),
        sa.Column("state", sa.String, nullable=False),
        sa.Column("version", sa.Integer, nullable=False),
        sa.Column("entered_at", UtcDateTime, nullable=False),
        sa.Column("due_at", sa.BigInteger, nullable=True),
        sa.Column("created_at", UtcDateTime, nullable=False),
        sa.Column("updated_at", UtcDateTime, nullable=False),
        sa.Column("seq", sa.BigInteger, nullable=True),
        sa.Column("reading", sa.JSON, nullable=True),
        sa.Column("amount_due", AMOUNT, nullable=False),
        sa.Column("refused_seq", sa.BigInteger, nullable=True),
        sa.Column("ceiling", sa.JSON, nullable=True),
        sa.Column("owner_close", sa.JSON, nullable=True),
        sa.Column("renter_close", sa.JSON, nullable=True),
        sa.Column("claimed_at", UtcDateTime, nullable=True),
        sa.Column("money", sa.String, nullable=False),
        sa.Column("claim_by", sa.BigInteger, nullable=False),
        sa.Column("slot_status", sa.Integer, nullable=False),
        sa.Column("funded_bps", sa.Integer, nullable=False),
        *(
            sa.Column(name, AMOUNT, nullable=False)
            for name in ("prepaid", "paid", "tail", "fee", "to_owner", "refund", "told_paid")
        ),
        sa.Column("billed", sa.Boolean, nullable=False),
    )
    for column in ("device", "renter", "state", "due_at", "money"):
        op.create_index(f"ix_rental_{column}", "rental", [column])
    op.create_table(
        "refusal",
        sa.Column("rental_id", sa.String, primary_key=True),
        sa.Column("seq", sa.BigInteger, primary_key=True, autoincrement=False),
        sa.Column("code", sa.String, nullable=False),
        sa.Column("detail", sa.String, nullable=False),
        sa.Column("evidence", sa.JSON, nullable=False),
        sa.Column("at", UtcDateTime, nullable=False),
    )


def _create_transactions() -> None:
    op.create_table(
        "chain_transaction",
        sa.Column("id", BIG_ID, primary_key=True, autoincrement=True),
        sa.Column("key", sa.String, nullable=False, unique=True),
        sa.Column("kind", sa.String, nullable=False),
        sa.Column("rental_id", sa.String, nullable=True),
        sa.Column("to", sa.String, nullable=False),
        sa.Column("data", sa.Text, nullable=False),
        sa.Column("status", sa.String, nullable=False),
        sa.Column("reason", sa.Text, nullable=True),
        sa.Column("nonce", sa.BigInteger, nullable=True, unique=True),
        sa.Column("hash", sa.String, nullable=True),
        sa.Column("block", sa.BigInteger, nullable=True),
        sa.Column("gas_used", sa.BigInteger, nullable=True),
        sa.Column("created_at", UtcDateTime, nullable=False),
        sa.Column("sent_at", UtcDateTime, nullable=True),
    )
    op.create_index("ix_chain_transaction_rental_id", "chain_transaction", ["rental_id"])
    op.create_index("ix_chain_transaction_status", "chain_transaction", ["status"])
    op.create_table(
        "attempt",
        sa.Column("hash", sa.String, primary_key=True),
        sa.Column("transaction_id", sa.BigInteger, sa.ForeignKey("chain_transaction.id"), nullable=False),
        sa.Column("nonce", sa.BigInteger, nullable=False),
        sa.Column("raw", sa.Text, nullable=False),
        sa.Column("gas", sa.BigInteger, nullable=False),
        sa.Column("max_fee", AMOUNT, nullable=False),
        sa.Column("tip", AMOUNT, nullable=False),
        sa.Column("signed_at", UtcDateTime, nullable=False),
    )
    op.create_index("ix_attempt_transaction_id", "attempt", ["transaction_id"])


def _create_chain() -> None:
    op.create_table(
        "chain_log",
        sa.Column("block", sa.BigInteger, primary_key=True, autoincrement=False),
        sa.Column("position", sa.BigInteger, primary_key=True, autoincrement=False),
        sa.Column("tx_hash", sa.String, nullable=False),
        sa.Column("name", sa.String, nullable=False),
        sa.Column("subject", sa.String, nullable=False),
        sa.Column("arguments", sa.JSON, nullable=False),
    )
    op.create_index("ix_chain_log_subject", "chain_log", ["subject"])
    op.create_table(
        "seen_block",
        sa.Column("number", sa.BigInteger, primary_key=True, autoincrement=False),
        sa.Column("hash", sa.String, nullable=False),
        sa.Column("time", sa.BigInteger, nullable=False),
    )


def _create_bills() -> None:
    op.create_table(
        "device",
        sa.Column("device", sa.String, primary_key=True),
        sa.Column("tx_hash", sa.String, nullable=True),
    )
    op.create_table(
        "bill",
        sa.Column("rental_id", sa.String, primary_key=True),
        sa.Column("device", sa.String, nullable=False),
        sa.Column("total", AMOUNT, nullable=False),
        sa.Column("signed", sa.JSON, nullable=False),
        sa.Column("countersigned", sa.Boolean, nullable=False),
        sa.Column("issued_at", UtcDateTime, nullable=False),
    )
    op.create_index("ix_bill_device", "bill", ["device"])
    op.create_index("ix_bill_issued_at", "bill", ["issued_at"])
    op.create_table(
        "lease",
        sa.Column("name", sa.String, primary_key=True),
        sa.Column("holder", sa.String, nullable=False),
        sa.Column("until", UtcDateTime, nullable=False),
    )
