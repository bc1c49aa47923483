"""The life of a rental as data: states, and what moves it.

Every state that is not an end has a deadline with a default.

QUOTED > AGREED > FUNDED > ARMED > ACTIVE <> SUSPENDED > ENDING > CLOSED > SETTLING > SETTLED Side exits:
EXPIRED, CANCELLED, DISPUTED > RESOLVED, FORCE_CLOSED. Anyone may trigger a default once its deadline has
passed.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from enum import StrEnum

from hireling.rental.errors import IllegalTransition
from hireling.rental.terms import Agreement

START_WINDOW = timedelta(minutes=15)
DEAD_ON_ARRIVAL = timedelta(seconds=60)
LAST_READING_WAIT = timedelta(minutes=10)
# From the escrow's specification: evidence for 48 h, then 7 d for a ruling.
EVIDENCE = timedelta(hours=48)
RULING = timedelta(days=7)


class State(StrEnum):
    """Where a rental stands."""

    QUOTED = "QUOTED"
    AGREED = "AGREED"
    FUNDED = "FUNDED"
    ARMED = "ARMED"
    ACTIVE = "ACTIVE"
    SUSPENDED = "SUSPENDED"
    ENDING = "ENDING"
    CLOSED = "CLOSED"
    SETTLING = "SETTLING"
    SETTLED = "SETTLED"
    EXPIRED = "EXPIRED"
    CANCELLED = "CANCELLED"
    DISPUTED = "DISPUTED"
    RESOLVED = "RESOLVED"
    FORCE_CLOSED = "FORCE_CLOSED"


class Trigger(StrEnum):
    """What moves a rental."""

    BOTH_SIGNED = "both_signed"
    DEPOSIT_CONFIRMED = "deposit_confirmed"
    UNLOCK_ASKED = "unlock_asked"
    BEGIN_READING = "begin_reading"
    SUSPEND_READING = "suspend_reading"
    RESUME_READING = "resume_reading"
    END_DUE = "end_due"
    LAST_READING = "last_reading"
    WAITED_LONG_ENOUGH = "waited_long_enough"
    CLAIMS_OVER = "claims_over"
    CLOSE_CONFIRMED = "close_confirmed"
    SETTLEMENT_CONFIRMED = "settlement_confirmed"
    DISPUTE_RAISED = "dispute_raised"
    RULING_CONFIRMED = "ruling_confirmed"
    OFFER_LAPSED = "offer_lapsed"
    NEVER_FUNDED = "never_funded"
    NEVER_STARTED = "never_started"
    DEAD_ON_ARRIVAL = "dead_on_arrival"
    ESCROW_EMPTIED = "escrow_emptied"


TERMINAL = frozenset({State.SETTLED, State.EXPIRED, State.CANCELLED, State.RESOLVED, State.FORCE_CLOSED})
# Nothing was used, and nothing is to be paid.
WITHOUT_BILL = frozenset({State.CANCELLED, State.EXPIRED})
# Over, and the bill follows once no money can move any more.
BILL_FOLLOWS = TERMINAL - WITHOUT_BILL
RUNNING = frozenset({State.ACTIVE, State.SUSPENDED, State.ENDING})

TRANSITIONS: Mapping[tuple[State, Trigger], State] = {
    (State.QUOTED, Trigger.BOTH_SIGNED): State.AGREED,
    (State.QUOTED, Trigger.OFFER_LAPSED): State.EXPIRED,
    (State.AGREED, Trigger.DEPOSIT_CONFIRMED): State.FUNDED,
    (State.AGREED, Trigger.NEVER_FUNDED): State.EXPIRED,
    (State.FUNDED, Trigger.UNLOCK_ASKED): State.ARMED,
    (State.FUNDED, Trigger.BEGIN_READING): State.ACTIVE,
    (State.FUNDED, Trigger.CLOSE_CONFIRMED): State.CANCELLED,
    (State.FUNDED, Trigger.NEVER_STARTED): State.CANCELLED,
    (State.ARMED, Trigger.BEGIN_READING): State.ACTIVE,
    (State.ARMED, Trigger.CLOSE_CONFIRMED): State.CANCELLED,
    (State.ARMED, Trigger.DEAD_ON_ARRIVAL): State.CANCELLED,
    (State.ACTIVE, Trigger.SUSPEND_READING): State.SUSPENDED,
    (State.ACTIVE, Trigger.END_DUE): State.ENDING,
    (State.ACTIVE, Trigger.LAST_READING): State.CLOSED,
    (State.SUSPENDED, Trigger.RESUME_READING): State.ACTIVE,
    (State.SUSPENDED, Trigger.END_DUE): State.ENDING,
    (State.SUSPENDED, Trigger.LAST_READING): State.CLOSED,
    (State.ENDING, Trigger.LAST_READING): State.CLOSED,
    (State.ENDING, Trigger.WAITED_LONG_ENOUGH): State.CLOSED,
    (State.CLOSED, Trigger.CLAIMS_OVER): State.SETTLING,
    (State.CLOSED, Trigger.DISPUTE_RAISED): State.DISPUTED,
    (State.CLOSED, Trigger.SETTLEMENT_CONFIRMED): State.SETTLED,
    (State.SETTLING, Trigger.DISPUTE_RAISED): State.DISPUTED,
    (State.SETTLING, Trigger.SETTLEMENT_CONFIRMED): State.SETTLED,
    (State.DISPUTED, Trigger.RULING_CONFIRMED): State.RESOLVED,
    (State.DISPUTED, Trigger.SETTLEMENT_CONFIRMED): State.RESOLVED,
    (State.DISPUTED, Trigger.CLOSE_CONFIRMED): State.RESOLVED,
    # Both sides may close by their two signatures whenever something was used.
    (State.ACTIVE, Trigger.CLOSE_CONFIRMED): State.SETTLED,
    (State.SUSPENDED, Trigger.CLOSE_CONFIRMED): State.SETTLED,
    (State.ENDING, Trigger.CLOSE_CONFIRMED): State.SETTLED,
    (State.CLOSED, Trigger.CLOSE_CONFIRMED): State.SETTLED,
    (State.SETTLING, Trigger.CLOSE_CONFIRMED): State.SETTLED,
    # Somebody used the escrow directly, past its deadlines, while the rental was thought to be running.
    (State.FUNDED, Trigger.ESCROW_EMPTIED): State.FORCE_CLOSED,
    (State.ARMED, Trigger.ESCROW_EMPTIED): State.FORCE_CLOSED,
    (State.ACTIVE, Trigger.ESCROW_EMPTIED): State.FORCE_CLOSED,
    (State.SUSPENDED, Trigger.ESCROW_EMPTIED): State.FORCE_CLOSED,
    (State.ENDING, Trigger.ESCROW_EMPTIED): State.FORCE_CLOSED,
}

DEFAULTS: Mapping[State, Trigger] = {
    State.QUOTED: Trigger.OFFER_LAPSED,
    State.AGREED: Trigger.NEVER_FUNDED,
    State.FUNDED: Trigger.NEVER_STARTED,
    State.ARMED: Trigger.DEAD_ON_ARRIVAL,
    State.ACTIVE: Trigger.END_DUE,
    State.SUSPENDED: Trigger.END_DUE,
    State.ENDING: Trigger.WAITED_LONG_ENOUGH,
    State.CLOSED: Trigger.CLAIMS_OVER,
    State.SETTLING: Trigger.SETTLEMENT_CONFIRMED,
    State.DISPUTED: Trigger.SETTLEMENT_CONFIRMED,
}


@dataclass(frozen=True)
class RentalFacts:
    """What the deadlines depend on.

    Unix seconds and spans in seconds, from the offer and the escrow, and when the state began.
    """

    entered_at: datetime
    valid_until: int
    fund_by: int
    start_at: int
    end_by: int
    claim_by: int
    grace: int
    notice: int
    challenge_window: int


def facts_of(
    agreement: Agreement, *, entered_at: datetime, valid_until: int | None = None, claim_by: int | None = None
) -> RentalFacts:
    """Return the facts of an agreement. ``claim_by`` is the escrow's own, once an exit has lowered it."""
    rules = agreement.rules
    return RentalFacts(
        entered_at=entered_at,
        valid_until=rules.fund_by if valid_until is None else valid_until,
        fund_by=rules.fund_by,
        start_at=agreement.pay.start_at,
        end_by=rules.end_by,
        claim_by=agreement.claim_by if claim_by is None else claim_by,
        grace=rules.detail.grace,
        notice=rules.notice,
        challenge_window=rules.challenge_window,
    )


def deadline(state: State, facts: RentalFacts) -> datetime | None:
    """Return when the state's default may be triggered (aware UTC), None for an end."""
    entered = facts.entered_at
    end_by, claim_by = _at(facts.end_by), _at(facts.claim_by)
    dispute_by = claim_by + timedelta(seconds=facts.challenge_window)
    deadlines: Mapping[State, datetime] = {
        State.QUOTED: _at(facts.valid_until),
        State.AGREED: _at(facts.fund_by),
        State.FUNDED: min(max(entered, _at(facts.start_at)) + START_WINDOW, end_by),
        State.ARMED: entered + DEAD_ON_ARRIVAL,
        State.ACTIVE: end_by,
        State.SUSPENDED: min(entered + timedelta(seconds=facts.grace), end_by),
        State.ENDING: entered + max(LAST_READING_WAIT, timedelta(seconds=facts.notice)),
        State.CLOSED: claim_by,
        State.SETTLING: dispute_by,
        State.DISPUTED: dispute_by + EVIDENCE + RULING,
    }
    return deadlines.get(state)


def advance(state: State, trigger: Trigger) -> State:
    """Return the state that ``trigger`` leads to. Raises IllegalTransition if it means nothing here."""
    following = TRANSITIONS.get((state, trigger))
    if following is None:
        raise IllegalTransition("illegal_transition", f"{trigger} means nothing in {state}")
    return following


def _at(unix_seconds: int) -> datetime:
    return datetime.fromtimestamp(unix_seconds, UTC)
