"""Flags in rows: taken in, cleared, shown, and what may be claimed while one holds."""

from collections.abc import Callable, Sequence
from datetime import datetime

from hireling.rental.reading import SignedReading
from hireling.rental.typed_data import to_hex
from services.chassis.database import Database
from services.chassis.logging import get_logger
from services.chassis.rpc import RpcClient
from services.messages.errors import HirelingError, Unavailable
from services.messages.events.metering import FlagCleared, Flagged
from services.messages.settlement import FlagView
from services.settlement.claims import Rhythm, urgent_from
from services.settlement.holding import Standing, holds, is_held
from services.settlement.models import AcknowledgedRow, FlagRow, RentalRow
from services.settlement.progress import ceiling_of, reading_of
from services.settlement.store import Store

_log = get_logger(__name__)


def take_flag(store: Store, event: Flagged) -> None:
    """Keep a flag; the same one again changes nothing."""
    rental_id = to_hex(event.rental_id)
    if store.find_flag(rental_id, event.seq, event.code) is None:
        store.add(
            FlagRow(
                rental_id=rental_id,
                seq=event.seq,
                code=event.code,
                reason=event.reason,
                amount_due=int(event.amount_due),
                raised_at=event.at,
            )
        )


def clear_flag(store: Store, event: FlagCleared) -> None:
    """Note that a person cleared a flag. Raises Unavailable where the flag itself is still on its way."""
    row = store.find_flag(to_hex(event.rental_id), event.seq, event.code)
    if row is None:
        raise Unavailable(
            "flag_not_known_yet", f"no {event.code} of reading {event.seq} yet: it is on its way"
        )
    row.cleared_at = event.at


def flags_of(store: Store, rental_id: str, rhythm: Rhythm, *, chain_time: datetime) -> Sequence[FlagView]:
    """Return a rental's flags, ascending, and which of them hold the tail. Raises NotFound."""
    rental = store.rental_as_it_is(rental_id)
    acknowledged, until = _acknowledged(rental), urgent_from(rhythm, claim_by=rental.claim_by)
    return [
        FlagView(
            seq=row.seq,
            code=row.code,
            reason=row.reason,
            raised_at=row.raised_at,
            cleared_at=row.cleared_at,
            acknowledged=row.amount_due <= acknowledged,
            holds=rental.money != "done"
            and holds(_standing(row), acknowledged=acknowledged, now=chain_time, until=until),
        )
        for row in store.flags(rental_id)
    ]


def claimable_reading(
    store: Store, row: RentalRow, standing: Sequence[FlagRow], *, rhythm: Rhythm, now: datetime
) -> SignedReading | None:
    """Return the reading to claim with: the last, or while a flag holds what the renter acknowledged.

    ``standing`` are the rental's flags. None where there is no such reading, or it is not looked up yet.
    """
    last = reading_of(row)
    if last is None or not standing:
        return last
    acknowledged = _acknowledged(row)
    until = urgent_from(rhythm, claim_by=row.claim_by)
    flags = [_standing(flag) for flag in standing]
    if not is_held(flags, acknowledged=acknowledged, now=now, until=until):
        return last
    kept = store.acknowledged_reading(row.rental_id)
    if kept is None or kept.amount != acknowledged:
        return None
    return SignedReading.model_validate(kept.signed)


def look_up_acknowledged(
    database: Database, remote: RpcClient, now: Callable[[], datetime], *, call_seconds: float
) -> None:
    """Ask metering for the readings that renters of flagged rentals acknowledged, where they are not kept."""
    with database.snapshot() as session:
        wanted = {row.rental_id: _wanted(row) for row in Store(session, now=now()).flagged_rentals()}
        kept = Store(session, now=now()).acknowledged_readings(list(wanted))
    for rental_id, amount in wanted.items():
        if amount and kept.get(rental_id) != amount:
            _look_up(database, remote, rental_id, amount, now=now(), call_seconds=call_seconds)


def _look_up(
    database: Database, remote: RpcClient, rental_id: str, amount: int, *, now: datetime, call_seconds: float
) -> None:
    try:
        found = remote.call("metering", "get_reading_reaching", rental_id, str(amount), timeout=call_seconds)
    except HirelingError as error:
        # The next look asks again.
        _log.warning("acknowledged_reading_not_found", rental_id=rental_id, reason=str(error))
        return
    if found is None:
        return
    row = AcknowledgedRow(rental_id=rental_id, amount=amount, signed=found)
    database.work(lambda session: Store(session, now=now).keep_acknowledged(row))


def _wanted(row: RentalRow) -> int:
    """Return what the renter acknowledged and the readings counted here reach, 0 for nothing to look up."""
    acknowledged = _acknowledged(row)
    return acknowledged if row.paid < acknowledged <= row.amount_due else 0


def _acknowledged(row: RentalRow) -> int:
    ceiling = ceiling_of(row)
    return 0 if ceiling is None else int(ceiling.ceiling.ack_amount)


def _standing(row: FlagRow) -> Standing:
    return Standing(row.amount_due, cleared=row.cleared_at is not None)
