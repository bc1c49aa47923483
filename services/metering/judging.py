"""Judges accepted readings by the rules of plausibility, once they are recorded, and tells what looks wrong.

Apart from recording, so that ingest does no more for it, and any number of ingest processes may share a
rental: what the rules remember is in the database, and each reading is judged once, in order.
"""

from bisect import bisect_left
from collections.abc import Callable, Sequence
from datetime import datetime, timedelta
from typing import Any

from sqlmodel import Session

from hireling.rental.agreement import SignedAgreement
from hireling.rental.reading import Reading
from hireling.rental.typed_data import from_hex, to_hex
from services.chassis.database import Database
from services.chassis.logging import get_logger
from services.chassis.outbox import add_event
from services.messages.events.metering import FlagCleared, Flagged
from services.metering.downlink import notice
from services.metering.flag_store import FlagStore
from services.metering.models import FlagRow, PatternRow, Rental, WatchRow
from services.metering.plausibility import STRETCH, Flag, Limits, Role, Watch, Window
from services.metering.store import Store

# A unit of work that took longer would keep ingest from its turn.
READINGS_AT_ONCE = 500
RENTALS_AT_ONCE = 200
TIME_UNITS = frozenset({"ms", "s", "min", "h"})

_log = get_logger(__name__)


def watch_row(signed: SignedAgreement, *, now: datetime) -> WatchRow:
    """Return how an agreed rental's readings are judged, from the first on."""
    return WatchRow(rental_id=to_hex(signed.rental_id), roles=list(roles_of(signed)), judged_at=now)


def roles_of(signed: SignedAgreement) -> Sequence[Role]:
    """Return what each counter counts: as it is paid, or as its unit says where it is not."""
    tariff = signed.offer.tariff
    kinds = {rate.counter: rate.kind for rate in tariff.rates if rate.rate}
    roles = []
    for counter in tariff.counters:
        kind = kinds.get(counter.name)
        if kind in {"time", "idle"}:
            roles.append(Role.PAID_TIME)
        elif kind is None and counter.unit in TIME_UNITS:
            roles.append(Role.TIME)
        else:
            roles.append(Role.USE)
    return roles


def judge_readings(
    database: Database, limits: Limits, *, now: datetime, patience: timedelta, pause: Callable[[], None]
) -> None:
    """Judge what has come since the last time: where much has, or a little a while ago.

    `pause` is called between units of work, for whoever shares the thread.
    """
    while True:
        with database.looks() as session:
            due = FlagStore(session).due(
                readings=STRETCH, unjudged_since=now - patience, limit=RENTALS_AT_ONCE
            )
        failed = 0
        for rental_id in due:
            try:
                while _judge_some(database, rental_id, limits, now=now) == READINGS_AT_ONCE:
                    pause()
            except Exception as error:  # noqa: BLE001 - one rental that cannot be judged must not stop the others
                failed += 1
                _log.error("rental_unjudgeable", rental_id=rental_id, exc_info=error)
            pause()
        # One that failed is due again at once: for the next time, not for this.
        if failed or len(due) < RENTALS_AT_ONCE:
            return


def clear_flags(session: Session, rental_id: str, *, because: str, now: datetime) -> Sequence[FlagRow]:
    """Clear all flags of a rental that stand, and tell of it; return them."""
    cleared = FlagStore(session).uncleared(rental_id)
    for row in cleared:
        row.cleared_at, row.cleared_because = now, because
        event = FlagCleared(rental_id=from_hex(rental_id), seq=row.seq, code=row.code, at=now)
        add_event(session, event, now=now)
    return cleared


def reading_reaching(store: Store, rental: Rental, amount: int) -> dict[str, Any] | None:
    """Return the first accepted reading that asks so much, as it travelled; None where none does.

    Amounts never fall, so a few readings need to be looked at.
    """

    def asks(seq: int) -> int:
        return int(store.accepted_reading(rental.rental_id, seq)["reading"]["amount_due"])

    found = bisect_left(range(rental.next_seq), amount, key=asks)
    return store.accepted_reading(rental.rental_id, found) if found < rental.next_seq else None


def _judge_some(database: Database, rental_id: str, limits: Limits, *, now: datetime) -> int:
    """Judge some of a rental's readings, and return how many."""
    # The watch's row is locked first: whoever has it is the only one to judge this rental.
    with database.queue_work() as session:
        return _judge(Store(session), rental_id, limits, now=now)


def _judge(store: Store, rental_id: str, limits: Limits, *, now: datetime) -> int:
    flag_store = FlagStore(store.session)
    row = flag_store.watch(rental_id)
    if row is None:
        return 0
    found = store.readings(rental_id, after=row.next_seq - 1, limit=READINGS_AT_ONCE)
    readings = [Reading.model_validate(wire["reading"]) for wire in found]
    if not readings:
        return 0
    watch = Watch.from_json(row.state, roles=[Role(role) for role in row.roles], limits=limits)
    flags, windows, anchors = watch.take(readings)
    flags += _repeats(flag_store, rental_id, watch, (windows, anchors))
    # Counters that freeze together are one flag.
    flags = list({(flag.seq, flag.code): flag for flag in flags}.values())
    _tell(store, rental_id, flags, {reading.seq: reading for reading in readings}, now=now)
    if readings[-1].last:
        flag_store.end([rental_id])
    else:
        row.next_seq, row.state, row.judged_at = readings[-1].seq + 1, watch.to_json(), now
    return len(readings)


def _repeats(
    flag_store: FlagStore, rental_id: str, watch: Watch, found: tuple[Sequence[Window], Sequence[Window]]
) -> list[Flag]:
    windows, anchors = found
    earlier = {anchor.hash: anchor.seq for anchor in reversed(anchors)}
    earlier |= flag_store.patterns(rental_id, [window.hash for window in windows])
    flag_store.add([PatternRow(rental_id=rental_id, seq=each.seq, hash=each.hash) for each in anchors])
    return watch.find_repeats(windows, earlier)


def _tell(
    store: Store, rental_id: str, flags: Sequence[Flag], readings: dict[int, Reading], *, now: datetime
) -> None:
    """Keep flags, and tell of them: settlement by an event, the owner's agent by a notice."""
    if not flags:
        return
    flag_store = FlagStore(store.session)
    device = flag_store.device_of(rental_id)
    flag_store.add(
        [
            FlagRow(rental_id=rental_id, seq=flag.seq, code=flag.code, reason=flag.reason, raised_at=now)
            for flag in flags
        ]
    )
    for flag in flags:
        flagged = Flagged(
            rental_id=from_hex(rental_id),
            seq=flag.seq,
            code=flag.code,
            reason=flag.reason,
            amount_due=readings[flag.seq].amount_due,
            at=now,
        )
        add_event(store.session, flagged, now=now)
        told = {"rental_id": rental_id, "seq": str(flag.seq), "code": flag.code, "reason": flag.reason}
        store.add_downlink(*notice(from_hex(device), "flagged", **told), now=now)
        _log.warning("reading_flagged", rental_id=rental_id, seq=flag.seq, code=flag.code)
