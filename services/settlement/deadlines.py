"""What falls due when time passes, by the chain's clock alone. Pure."""

from dataclasses import replace
from datetime import UTC, datetime

from hireling.rental import escrow_math
from hireling.rental.errors import EscrowRefused
from hireling.rental.escrow_math import Slot, Status
from hireling.rental.states import (
    DEFAULTS,
    LAST_READING_WAIT,
    RentalFacts,
    State,
    Trigger,
    deadline,
    facts_of,
)
from hireling.rental.terms import Agreement

# In these states the deadline is the whole default; the others' defaults are calls to the escrow, confirmed
# by its logs.
BY_TIME_ALONE = frozenset(
    {State.AGREED, State.FUNDED, State.ARMED, State.ACTIVE, State.SUSPENDED, State.ENDING, State.CLOSED}
)


def facts(agreement: Agreement, *, entered_at: datetime, claim_by: int) -> RentalFacts:
    """Return what the deadlines depend on.

    An exit, which lowers ``claim_by``, ends the use that much earlier too.
    """
    found = facts_of(agreement, entered_at=entered_at, claim_by=claim_by)
    return replace(found, end_by=min(found.end_by, claim_by - agreement.pay.claim_window))


def deadline_of(
    agreement: Agreement, state: State, *, entered_at: datetime, claim_by: int
) -> datetime | None:
    """Return when the state's default falls due, None for an end."""
    due = deadline(state, facts(agreement, entered_at=entered_at, claim_by=claim_by))
    if due is None or state is not State.FUNDED or entered_at.timestamp() <= agreement.pay.start_at:
        return due
    # It may have begun before its money was seen, as one that a restored platform took back. Its readings
    # are on their way, and what was used is no rental that never began.
    return max(due, entered_at + LAST_READING_WAIT)


def default_due(
    agreement: Agreement, state: State, *, entered_at: datetime, claim_by: int, now: int
) -> Trigger | None:
    """Return the default that time alone has triggered by ``now`` (the chain's Unix time), if any."""
    if state not in BY_TIME_ALONE:
        return None
    due = deadline_of(agreement, state, entered_at=entered_at, claim_by=claim_by)
    passed = due is not None and datetime.fromtimestamp(now, UTC) > due
    return DEFAULTS[state] if passed else None


def settlement_due(agreement: Agreement, slot: Slot, *, now: int) -> str | None:
    """Return what anyone may call at ``now``.

    "settle" for the end, "split" for the renter's early part, None for nothing yet.
    """
    try:
        move = escrow_math.settle(agreement, slot, now=now)
    except EscrowRefused:
        return None
    return "settle" if move.slot.has(Status.DONE) else "split"
