"""A calendar of slots in place of one rental a device.

What devices were taken for keeps its time, as funded: whether the money was there was not kept here.
"""

import json
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

import sqlalchemy as sa
from alembic import op

from services.chassis.tables import UtcDateTime

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None

TAKEN = sa.table(
    "taken_device", sa.column("device"), sa.column("rental_id"), sa.column("until", UtcDateTime())
)
SLOT = sa.table(
    "slot",
    sa.column("rental_id"),
    sa.column("device"),
    sa.column("renter"),
    sa.column("starts_at"),
    sa.column("ends_at"),
    sa.column("alone"),
    sa.column("held_until", UtcDateTime()),
    sa.column("funded"),
)
AGREEMENT = sa.table("agreement", sa.column("rental_id"), sa.column("signed", sa.JSON))


def upgrade() -> None:
    """Create the table, and carry over what is taken."""
    op.create_table(
        "slot",
        sa.Column("rental_id", sa.String, primary_key=True),
        sa.Column("device", sa.String, nullable=False),
        sa.Column("renter", sa.String, nullable=False),
        sa.Column("starts_at", sa.BigInteger, nullable=False),
        sa.Column("ends_at", sa.BigInteger, nullable=False),
        sa.Column("alone", sa.Boolean, nullable=False),
        sa.Column("held_until", UtcDateTime, nullable=False),
        sa.Column("funded", sa.Boolean, nullable=False),
    )
    op.create_index("ix_slot_device_ends_at", "slot", ["device", "ends_at"])
    joined = sa.select(TAKEN, AGREEMENT.c.signed).join(AGREEMENT, AGREEMENT.c.rental_id == TAKEN.c.rental_id)
    slots = [_slot(row) for row in op.get_bind().execute(joined).mappings()]
    if slots:
        op.bulk_insert(SLOT, slots)
    op.drop_table("taken_device")


def downgrade() -> None:
    """Go back to one rental a device: of several the one that comes first."""
    op.create_table(
        "taken_device",
        sa.Column("device", sa.String, primary_key=True),
        sa.Column("rental_id", sa.String, nullable=False, unique=True),
        sa.Column("until", UtcDateTime, nullable=False),
    )
    first: dict[str, dict[str, Any]] = {}
    for row in op.get_bind().execute(sa.select(SLOT).order_by(SLOT.c.starts_at)).mappings():
        until = datetime.fromtimestamp(row["ends_at"], UTC)
        first.setdefault(
            row["device"], {"device": row["device"], "rental_id": row["rental_id"], "until": until}
        )
    if first:
        op.bulk_insert(TAKEN, list(first.values()))
    op.drop_table("slot")


def _slot(row: Mapping[Any, Any]) -> dict[str, Any]:
    signed = row["signed"]
    agreement = (json.loads(signed) if isinstance(signed, str) else signed)["agreement"]
    return {
        "rental_id": row["rental_id"],
        "device": row["device"],
        "renter": agreement["rules"]["renter"],
        "starts_at": int(agreement["pay"]["start_at"]),
        "ends_at": int(row["until"].timestamp()),
        "alone": True,
        "held_until": row["until"],
        "funded": True,
    }
