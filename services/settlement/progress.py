"""Moves a rental's row along.

It goes into the states that the rules name, each told to everybody, and to what the logs say of its money.
"""

from collections.abc import Sequence
from datetime import UTC, datetime

from hireling.rental.agreement import SignedAgreement
from hireling.rental.ceiling import SignedCeiling
from hireling.rental.escrow_math import Slot, Status
from hireling.rental.reading import Reading, SignedReading
from hireling.rental.states import State
from hireling.rental.typed_data import from_hex
from services.messages.events.settlement import Claimed, RentalChanged
from services.settlement import deadlines, rental
from services.settlement.books import Books, Entry, books_of
from services.settlement.models import LogRow, RentalRow
from services.settlement.store import Store


def signed_of(row: RentalRow) -> SignedAgreement:
    """Return the agreement both sides signed."""
    return SignedAgreement.model_validate(row.signed)


def reading_of(row: RentalRow) -> SignedReading | None:
    """Return the last reading that counts."""
    return None if row.reading is None else SignedReading.model_validate(row.reading)


def ceiling_of(row: RentalRow) -> SignedCeiling | None:
    """Return the ceiling that counts."""
    return None if row.ceiling is None else SignedCeiling.model_validate(row.ceiling)


def slot_of(row: RentalRow) -> Slot:
    """Return the escrow's slot as the confirmed logs make it."""
    return Slot(row.paid, row.tail, row.claim_by, row.funded_bps, Status(row.slot_status))


def funded_of(row: RentalRow) -> int:
    """Return all that came into the escrow for a funded rental: prepayment and deposit, in base units."""
    return row.prepaid + int(row.signed["agreement"]["rules"]["deposit"])


def all_in_of(row: RentalRow) -> int:
    """Return all that the escrow may hold for a rental, in base units."""
    agreement = row.signed["agreement"]
    return int(agreement["pay"]["max_total"]) + int(agreement["rules"]["deposit"])


def held_of(row: RentalRow) -> tuple[int, Status]:
    """Return what the escrow holds for a rental that has not ended, in base units, and its status bits."""
    return funded_of(row) - row.to_owner - row.refund, Status(row.slot_status)


def begin(store: Store, row: RentalRow) -> None:
    """Keep a new rental and tell of it; the chain may already know more."""
    set_deadline(row)
    store.add(row)
    _say_changed(store, row)
    logs = store.logs_of(row.rental_id)
    if logs:
        follow_logs(store, row, logs, new=logs, at=row.entered_at)


def set_deadline(row: RentalRow) -> None:
    """Write when the state's default is due."""
    due = deadlines.deadline_of(
        signed_of(row).agreement, State(row.state), entered_at=row.entered_at, claim_by=row.claim_by
    )
    row.due_at = None if due is None else int(due.timestamp())


def wait_anew(row: RentalRow, *, at: datetime) -> None:
    """Count the time that its state may last from ``at`` on, the chain's time, unless it began later."""
    row.entered_at = max(row.entered_at, at)
    set_deadline(row)


def enter(store: Store, row: RentalRow, states: Sequence[State], *, at: datetime) -> None:
    """Enter these states one after the other at ``at``, the chain's time."""
    for state in states:
        row.state, row.version, row.entered_at, row.updated_at = state.value, row.version + 1, at, store.now
        _say_changed(store, row)
    if states:
        set_deadline(row)


def follow_reading(store: Store, row: RentalRow, reading: Reading, *, at: datetime) -> None:
    """Enter the states that a reading leads to when it is the last that counts."""
    row.updated_at = store.now
    enter(store, row, rental.after_reading(State(row.state), reading), at=at)


def end_at_last_good(store: Store, row: RentalRow, *, at: datetime) -> None:
    """End the rental at the last reading that counts: the one after it was refused."""
    enter(store, row, rental.after_refusal(State(row.state), _plain(reading_of(row))), at=at)


def follow_time(store: Store, row: RentalRow, *, chain_time: int) -> None:
    """Apply the defaults that are due at the chain's time."""
    agreement, at = signed_of(row).agreement, datetime.fromtimestamp(chain_time, UTC)
    while True:
        state = State(row.state)
        due = deadlines.default_due(
            agreement, state, entered_at=row.entered_at, claim_by=row.claim_by, now=chain_time
        )
        entered = () if due is None else rental.path(state, [due])
        if not entered:
            return
        enter(store, row, entered, at=at)


def follow_logs(
    store: Store, row: RentalRow, logs: Sequence[LogRow], *, new: Sequence[LogRow], at: datetime
) -> None:
    """Write the money that all of the rental's logs make, and enter the states that the new ones lead to."""
    agreement = signed_of(row).agreement
    books = books_of(agreement, [Entry(log.name, log.arguments) for log in logs])
    _write(row, books, now=store.now)
    for log in new:
        enter(store, row, rental.after_log(State(row.state), log.name), at=at)
        if log.name == "Opened":
            enter(store, row, rental.after_reading(State(row.state), _plain(reading_of(row))), at=at)
        if log.name == "Claimed":
            _say_claimed(store, row, log, logs)


def _write(row: RentalRow, books: Books, *, now: datetime) -> None:
    slot = books.slot
    row.money, row.claim_by, row.slot_status, row.funded_bps = (
        books.money,
        slot.claim_by,
        int(slot.status),
        slot.funded_bps,
    )
    row.paid, row.tail, row.prepaid = slot.paid, slot.tail, books.prepaid
    row.fee, row.to_owner, row.refund, row.updated_at = books.fee, books.to_owner, books.refund, now
    set_deadline(row)


def _say_changed(store: Store, row: RentalRow) -> None:
    changed = RentalChanged(
        rental_id=from_hex(row.rental_id),
        device=from_hex(row.device),
        state=State(row.state),
        version=row.version,
    )
    store.say(changed)


def _say_claimed(store: Store, row: RentalRow, log: LogRow, logs: Sequence[LogRow]) -> None:
    """Tell of a claim that paid.

    One that only moved the tail, or that a chain told twice, says nothing new.
    """
    until = (log.block, log.position, log.row)
    entries = [each for each in logs if (each.block, each.position, each.row) <= until]
    books = books_of(signed_of(row).agreement, [Entry(each.name, each.arguments) for each in entries])
    if books.slot.paid <= row.told_paid:
        return
    row.told_paid = books.slot.paid
    store.say(
        Claimed(
            rental_id=from_hex(row.rental_id),
            paid=books.slot.paid,
            fee=books.fee,
            tx_hash=from_hex(log.tx_hash),
        )
    )


def _plain(signed: SignedReading | None) -> Reading | None:
    return None if signed is None else signed.reading
