"""Which claim is due: what the latest reading and the latest ceiling would move, and from when on.

Which of the due ones go now, and together. Pure.

Readings and ceilings only ever rise, so the newest of each is always the pair that moves the most.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Generic, TypeVar

from hireling.rental import escrow_math
from hireling.rental.ceiling import Ceiling
from hireling.rental.errors import EscrowRefused
from hireling.rental.escrow_math import Slot
from hireling.rental.reading import Reading
from hireling.rental.states import RUNNING, State
from hireling.rental.terms import Agreement

Claim = TypeVar("Claim")


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


@dataclass(frozen=True)
class Batching:
    """How many claims share a transaction, and how long one that is due waits for others."""

    size: int
    age: timedelta


@dataclass(frozen=True)
class Due(Generic[Claim]):
    """A claim that would move something: ``since`` when it is due, ``urgent`` where claims are about to end.

    ``together`` is how many may share its transaction: fewer after a batch failed it, 1 for it alone.
    """

    claim: Claim
    since: datetime
    urgent: bool
    together: int


def due_since(
    rhythm: Rhythm, *, state: State, entered_at: datetime, claimed_at: datetime | None, claim_by: int
) -> datetime:
    """Return from when on a claim should be sent, rather than wait for more or for a close."""
    if state not in RUNNING:
        usual = entered_at + rhythm.patience
    else:
        usual = (entered_at if claimed_at is None else claimed_at) + rhythm.every
    return min(usual, urgent_from(rhythm, claim_by=claim_by))


def urgent_from(rhythm: Rhythm, *, claim_by: int) -> datetime:
    """Return from when on every claim is due, and none waits for others."""
    return datetime.fromtimestamp(claim_by, UTC) - rhythm.margin


def batches(due: Sequence[Due[Claim]], batching: Batching, *, now: datetime) -> list[list[Claim]]:
    """Return the claims that go now, each list in one transaction, the longest due first.

    Full batches go; all that is due goes once one of it is urgent or has waited long enough.
    """
    groups: dict[int, list[Due[Claim]]] = {}
    for each in sorted(due, key=lambda each: each.since):
        groups.setdefault(min(each.together, batching.size), []).append(each)
    return [batch for size, group in groups.items() for batch in _batches(group, size, batching, now=now)]


def _batches(
    group: Sequence[Due[Claim]], size: int, batching: Batching, *, now: datetime
) -> list[list[Claim]]:
    waits_no_longer = any(each.urgent or now >= each.since + batching.age for each in group)
    going = len(group) if waits_no_longer else len(group) // size * size
    return [[each.claim for each in group[at : min(at + size, going)]] for at in range(0, going, size)]
