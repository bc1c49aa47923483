"""Days are closed: each once, in order, and for good.

A reading belongs to the first day, not closed before, by whose end it and all readings before it in its
rental had arrived: that is when the gapless series reached it, and so when it was accepted. What an offline
device sends later therefore falls into a later day, and a closed day never changes; a reading that was
written only after its day was closed falls into the next. A rental's readings of a day are consecutive: one
row tells them all.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import partial
from itertools import groupby
from operator import attrgetter

from sqlmodel import Session

from hireling.rental import merkle
from hireling.rental.anchoring import day_of, device_leaf, device_root, end_of
from hireling.rental.typed_data import from_hex, to_hex
from services.chassis.database import Database
from services.chassis.logging import get_logger
from services.chassis.outbox import add_event
from services.messages.events.metering import DayClosed
from services.metering.day_store import DayStore, Position
from services.metering.models import ClosedDay, DaySpan, DeviceDayRow

_log = get_logger(__name__)


@dataclass
class _Day:
    """What a day consists of, as it is about to be closed."""

    day: int
    roots: list[DeviceDayRow] = field(default_factory=list)
    spans: list[DaySpan] = field(default_factory=list)

    @property
    def readings(self) -> int:
        return sum(each.readings for each in self.roots)

    @property
    def root(self) -> bytes | None:
        return merkle.root([leaf_of(each) for each in self.roots]) if self.roots else None


def leaf_of(row: DeviceDayRow) -> bytes:
    """Return a device's value in the day's tree."""
    return device_leaf(from_hex(row.device), from_hex(row.root), row.readings)


def close_days(
    database: Database, *, now: datetime, grace: timedelta, pause: Callable[[], None]
) -> list[int]:
    """Close every day that ended at least `grace` ago; return those closed here, in order.

    Where other processes do the same, each day is closed by one of them. `pause` is called between devices,
    for whoever shares the thread.
    """
    closed = []
    while (day := _next_day(database)) is not None and now >= end_of(day) + grace:
        counted = _count(database, day, pause)
        if database.work(partial(_close, counted, now=now)):
            closed.append(day)
            _log.info("day_closed", day=day, devices=len(counted.roots), readings=counted.readings)
    return closed


def _next_day(database: Database) -> int | None:
    with database.looks() as session:
        store = DayStore(session)
        last = store.last_closed()
        if last is not None:
            return last + 1
        first = store.first_agreed()
        return None if first is None else day_of(first)


def _count(database: Database, day: int, pause: Callable[[], None]) -> _Day:
    """Build the day outside of any write: what is accepted never changes, and whoever is first writes."""
    found = _Day(day)
    with database.snapshot() as session:
        store = DayStore(session)
        for device, positions in groupby(store.positions(), key=attrgetter("device")):
            _count_device(store, found, device, list(positions))
            pause()
    return found


def _count_device(store: DayStore, found: _Day, device: str, positions: Sequence[Position]) -> None:
    hashes: list[bytes] = []
    for each in positions:
        before = len(hashes)
        for arrived in store.hashes_before(end_of(found.day), each.rental_id, from_seq=each.next_seq):
            hashes += arrived
        if len(hashes) > before:
            found.spans.append(
                DaySpan(
                    rental_id=each.rental_id,
                    day=found.day,
                    device=device,
                    first_seq=each.next_seq,
                    last_seq=each.next_seq + len(hashes) - before - 1,
                )
            )
    if hashes:
        root = to_hex(device_root(hashes))
        found.roots.append(DeviceDayRow(device=device, day=found.day, root=root, readings=len(hashes)))


def _close(counted: _Day, session: Session, *, now: datetime) -> bool:
    store, root = DayStore(session), counted.root
    row = ClosedDay(
        day=counted.day,
        root=None if root is None else to_hex(root),
        devices=len(counted.roots),
        readings=counted.readings,
        closed_at=now,
    )
    if not store.close(row):
        return False
    roots, spans = ([each.model_dump() for each in rows] for rows in (counted.roots, counted.spans))
    store.add_devices(roots, spans)
    if root is not None:
        event = DayClosed(day=row.day, root=root, devices=row.devices, readings=row.readings)
        add_event(session, event, now=now)
    return True
