"""Which claim is due: what the latest reading and the latest ceiling would move, and whether now is the time.

Pure.

Readings and ceilings only ever rise, so the newest of each is always the pair that moves the most.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta

from hireling.rental import escrow_math
from hireling.rental.ceiling import Ceiling
from hireling.rental.errors import EscrowRefused
from hireling.rental.escrow_math import Slot
from hireling.rental.reading import Reading
from hireling.rental.states import RUNNING, State
from hireling.rental.terms import Agreement


@dataclass(frozen=True)
class Rhythm:
    """How often to claim.

    ``every`` while running, after ``patience`` for both signatures once ended, always in the last ``margin``.
    """

    every: timedelta
    patience: timedelta
    margin: timedelta


def claimable(
    agreement: Agreement, slot: Slot, reading: Reading, ceiling: Ceiling, *, now: int
) -> Slot | None:
    """Return the slot after a claim at ``now`` (the chain's Unix time), None where it would move nothing."""
    try:
        return escrow_math.claim(
            agreement,
            slot,
            amount_due=reading.amount_due,
            max_claimable=ceiling.max_claimable,
            ack_amount=ceiling.ack_amount,
            now=now,
        ).slot
    except EscrowRefused:
        return None


def is_time(
    rhythm: Rhythm,
    *,
    state: State,
    entered_at: datetime,
    claimed_at: datetime | None,
    claim_by: int,
    now: datetime,
) -> bool:
    """Return whether a claim should be sent at ``now``, rather than wait for more or for a close.

    It is one that would move something.
    """
    if now >= datetime.fromtimestamp(claim_by, now.tzinfo) - rhythm.margin:
        return True
    if state not in RUNNING:
        return now >= entered_at + rhythm.patience
    return now >= (entered_at if claimed_at is None else claimed_at) + rhythm.every
