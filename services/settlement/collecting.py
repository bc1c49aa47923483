"""Queues what is due for money the escrow holds.

Claims with both keys, closes, and settlements by the deadlines.
"""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

from hireling.rental.close import Close, SignedClose
from hireling.rental.states import State
from hireling.rental.typed_data import from_hex
from services.settlement import deadlines
from services.settlement.claims import Rhythm, claimable, is_time
from services.settlement.models import RentalRow, TransactionRow
from services.settlement.moves import CLAIM, CLOSE, SETTLE, Moves
from services.settlement.progress import ceiling_of, reading_of, signed_of, slot_of
from services.settlement.store import Store

# What the chain refused may be right a little later: another block's time, a claim that was on its way.
AGAIN_AFTER = timedelta(seconds=30)


def queue_due(store: Store, moves: Moves, *, chain_time: int, rhythm: Rhythm) -> None:
    """Queue at most one move for each rental whose money is open and has none under way.

    ``now`` is the chain's Unix time.
    """
    for row in store.rentals_with_open_money():
        if store.is_moving(row.rental_id, (CLAIM, CLOSE, SETTLE)):
            continue
        for intent in _candidates(row, moves, chain_time=chain_time, rhythm=rhythm, now=store.now):
            if store.queue(intent, again_after=AGAIN_AFTER).status != "refused":
                if intent.kind == CLAIM:
                    row.claimed_at = datetime.fromtimestamp(chain_time, UTC)
                break


def _candidates(
    row: RentalRow, moves: Moves, *, chain_time: int, rhythm: Rhythm, now: datetime
) -> Iterator[TransactionRow]:
    """Yield the moves that are due, the most final first.

    A refused close must not keep the rest from being claimed.
    """
    for intent in (
        _close_due(row, moves, now=now),
        _settlement_due(row, moves, chain_time=chain_time, now=now),
        _claim_due(row, moves, chain_time=chain_time, rhythm=rhythm, now=now),
    ):
        if intent is not None:
            yield intent


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
    row: RentalRow, moves: Moves, *, chain_time: int, rhythm: Rhythm, now: datetime
) -> TransactionRow | None:
    signed, reading, ceiling = signed_of(row), reading_of(row), ceiling_of(row)
    if reading is None or ceiling is None:
        return None
    after = claimable(signed.agreement, slot_of(row), reading.reading, ceiling.ceiling, now=chain_time)
    due = after is not None and is_time(
        rhythm,
        state=State(row.state),
        entered_at=row.entered_at,
        claimed_at=row.claimed_at,
        claim_by=row.claim_by,
        now=datetime.fromtimestamp(chain_time, UTC),
    )
    if after is None or not due:
        return None
    return moves.claim(signed, reading, ceiling, after=after, now=now)
