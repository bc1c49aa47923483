"""Queues what is due for money the escrow holds.

Claims with both keys, many in one transaction; closes, and settlements by the deadlines.
"""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

from hireling.rental.close import Close, SignedClose
from hireling.rental.states import State
from hireling.rental.typed_data import from_hex
from services.chassis.logging import get_logger
from services.settlement import deadlines
from services.settlement.claims import Batching, Due, Rhythm, batches, claimable, due_since, urgent_from
from services.settlement.escrow.packed import MOST_ROWS, ClaimOutcome, Evidence, Unpackable, pack_row
from services.settlement.flags import claimable_reading
from services.settlement.models import FlagRow, RentalRow, TransactionRow
from services.settlement.moves import ANNOUNCE, CLAIM, CLOSE, SETTLE, ClaimMove, Moves, batched
from services.settlement.progress import ceiling_of, signed_of, slot_of
from services.settlement.store import Store

# What the chain refused may be right a little later: another block's time, a claim that was on its way.
AGAIN_AFTER = timedelta(seconds=30)
ANNOUNCED_AGAIN_AFTER = timedelta(minutes=10)
ALONE = 1

_log = get_logger(__name__)


def queue_due(store: Store, moves: Moves, *, chain_time: int, rhythm: Rhythm, batching: Batching) -> None:
    """Queue at most one move for each rental whose money is open and has none under way.

    And once more the daily roots that the chain refused.

    ``chain_time`` is the chain's Unix time. Claims wait for others to share a transaction with, as far as
    ``batching`` has them.
    """
    now, moving = datetime.fromtimestamp(chain_time, UTC), store.moving_rentals((CLAIM, CLOSE, SETTLE))
    due: list[Due[ClaimMove]] = []
    flags = store.standing_flags()
    for row in store.rentals_with_open_money():
        if row.rental_id in moving or _ends(store, row, moves, chain_time=chain_time):
            continue
        standing = flags.get(row.rental_id, ())
        claim = _claim_due(store, row, standing, rhythm=rhythm, chain_time=chain_time)
        if claim is not None:
            due.append(claim)
    for claims in batches(due, batching, now=now):
        _queue_claims(store, moves, claims, at=now)
    # A day is told of once, and nobody would ask for its root again.
    for announcement in store.refused(ANNOUNCE):
        store.queue(announcement, again_after=ANNOUNCED_AGAIN_AFTER)


def _ends(store: Store, row: RentalRow, moves: Moves, *, chain_time: int) -> bool:
    """Queue the rental's end where it is due, and return whether it is.

    A refused close must not keep the rest from being claimed.
    """
    candidates = (
        _close_due(row, moves, now=store.now),
        _settlement_due(row, moves, chain_time=chain_time, now=store.now),
    )
    return any(
        store.queue(intent, again_after=AGAIN_AFTER).status != "refused"
        for intent in candidates
        if intent is not None
    )


def _queue_claims(store: Store, moves: Moves, claims: Sequence[ClaimMove], *, at: datetime) -> None:
    """Queue claims as one transaction. ``at`` is the chain's time.

    One alone is pushed to its owner, and refused before it is sent where the escrow would refuse it.
    """
    if len(claims) == ALONE:
        queued = store.queue(moves.claim(claims[0], now=store.now), again_after=AGAIN_AFTER)
        if queued.status == "refused":
            return
    else:
        store.queue_batch(
            moves.claims(claims, now=store.now),
            lambda number: [batched(claim, number, rows=len(claims)) for claim in claims],
        )
        _log.info("claims_batched", rows=len(claims))
    for claim in claims:
        store.rental(claim.rental_id).claimed_at = at


def both_halves(row: RentalRow) -> SignedClose | None:
    """Return the close that both sides signed alike, if they did."""
    owner, renter = row.owner_close, row.renter_close
    if owner is None or renter is None or owner["close"] != renter["close"]:
        return None
    return SignedClose(
        close=Close.model_validate(owner["close"]),
        owner_signature=from_hex(owner["signature"]),
        renter_signature=from_hex(renter["signature"]),
    )


def _close_due(row: RentalRow, moves: Moves, *, now: datetime) -> TransactionRow | None:
    both = both_halves(row)
    return None if both is None else moves.close(signed_of(row), both, now=now)


def _settlement_due(row: RentalRow, moves: Moves, *, chain_time: int, now: datetime) -> TransactionRow | None:
    signed = signed_of(row)
    step = deadlines.settlement_due(signed.agreement, slot_of(row), now=chain_time)
    return None if step is None else moves.settle(signed, step, now=now)


def _claim_due(
    store: Store, row: RentalRow, standing: Sequence[FlagRow], *, rhythm: Rhythm, chain_time: int
) -> Due[ClaimMove] | None:
    signed, ceiling = signed_of(row), ceiling_of(row)
    now = datetime.fromtimestamp(chain_time, UTC)
    reading = claimable_reading(store, row, standing, rhythm=rhythm, now=now)
    if reading is None or ceiling is None:
        return None
    since = due_since(
        rhythm,
        state=State(row.state),
        entered_at=row.entered_at,
        claimed_at=row.claimed_at,
        claim_by=row.claim_by,
    )
    after = claimable(signed.agreement, slot_of(row), reading.reading, ceiling.ceiling, now=chain_time)
    if now < since or after is None:
        return None
    claim = ClaimMove(signed, Evidence(signed.agreement, reading, ceiling), after)
    together = _together(store, claim, now=now)
    if together == 0:
        return None
    urgent = now >= urgent_from(rhythm, claim_by=row.claim_by)
    return Due(claim, since=since, urgent=urgent, together=together)


def _together(store: Store, claim: ClaimMove, *, now: datetime) -> int:
    """Return how many claims may share the claim's transaction: 0 where it is not to be sent now.

    What was sent alone goes alone; what a batch skipped goes alone, and not at once; a batch that failed as a
    whole is tried again in halves, and in the end each of its claims alone.
    """
    alone, last = store.transaction_by_key(claim.key), store.last_batched(claim.key)
    if alone is not None:
        again = alone.status == "refused" and store.now >= alone.created_at + AGAIN_AFTER
        return ALONE if again else 0
    if last is None:
        return MOST_ROWS if _fits(claim) else ALONE
    row, batch = last
    if batch.status == "refused":
        return max(row.rows // 2, ALONE)
    if row.outcome in (None, ClaimOutcome.CLAIMED.name) or row.told_at is None:
        return 0
    return ALONE if now >= row.told_at + AGAIN_AFTER else 0


def _fits(claim: ClaimMove) -> bool:
    try:
        pack_row(claim.evidence)
    except Unpackable as error:
        _log.warning("claim_unpackable", rental_id=claim.rental_id, reason=str(error))
        return False
    return True
