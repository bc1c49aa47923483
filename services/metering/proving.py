"""What the platform shows of closed days: where a reading is, by paths that anyone checks alone.

Only roots are stored. The trees are built from the readings themselves when somebody asks, and those asked
for last are remembered: a closed day never changes.
"""

from datetime import timedelta
from typing import Any

from hireling.rental.anchoring import READINGS, batch_of, day_of, end_of
from hireling.rental.merkle import Tree
from hireling.rental.typed_data import from_hex, to_hex
from services.messages.errors import Conflict, Invalid, NotFound
from services.messages.events.settlement import RootAnnounced
from services.metering.closing import leaf_of
from services.metering.day_store import DayStore
from services.metering.models import ClosedDay, DeviceDayRow
from services.metering.trees import TREES, Trees
from services.metering.upkeep import check_kept

LARGEST_PAGE = 200


def proof_of(
    store: DayStore, rental_id: str, seq: int, *, grace: timedelta, trees: Trees = TREES
) -> dict[str, Any]:
    """Return a ReadingProof as JSON; its announcement is None until the root is on the chain.

    Raises NotFound, and Conflict until the reading's day is closed.
    """
    check_kept(store.rental(rental_id), seq)
    hashed = store.hash_of(rental_id, seq)
    if hashed is None:
        raise NotFound("reading_not_found", f"reading {seq} of rental {rental_id} is not accepted", seq=seq)
    span = store.span_with(rental_id, seq)
    if span is None:
        raise _open(store, rental_id, seq, grace=grace)
    own, day = store.device_day(span.device, span.day), store.day(span.day)
    leaf, device_leaf = from_hex(hashed), leaf_of(own)
    readings = trees.find(own.root, with_leaf=leaf, build=lambda: _readings_of(store, own))
    devices = trees.find(
        str(day.root),
        with_leaf=device_leaf,
        build=lambda: [leaf_of(each) for each in store.devices_of(own.day)],
    )
    return {
        "rental_id": rental_id,
        "seq": str(seq),
        **_shown(own, day),
        "reading": hashed,
        "reading_path": _path(readings, leaf),
        "device_path": _path(devices, device_leaf),
    }


def days_of(store: DayStore, device: str, cursor: str | None, limit: int) -> dict[str, Any]:
    """Return a page of a device's days as JSON, newest first. Raises Invalid."""
    if not 1 <= limit <= LARGEST_PAGE:
        raise Invalid("limit_out_of_range", f"a page has 1 to {LARGEST_PAGE} days, not {limit}", limit=limit)
    if cursor is not None and not (cursor.isascii() and cursor.isdecimal() and len(cursor) < 10):
        raise Invalid("bad_cursor", "the cursor is not one of ours")
    before = None if cursor is None else int(cursor)
    found = store.days_of(device, before=before, limit=limit + 1)
    more = str(found[limit - 1][0].day) if len(found) > limit else None
    return {"items": [_shown(root, day) for root, day in found[:limit]], "next": more}


def keep_announcement(store: DayStore, event: RootAnnounced) -> None:
    """Keep where a day's root is on the chain; an older sighting changes nothing.

    Raises LookupError where no such day was closed with this root.
    """
    stream, day = event.batch[:-4], int.from_bytes(event.batch[-4:])
    row = store.lock_day(day) if batch_of(READINGS, day)[:-4] == stream else None
    if row is None or row.root != to_hex(event.root):
        raise LookupError(f"no day of ours has root {to_hex(event.root)} in batch {to_hex(event.batch)}")
    if row.seen_at is not None and row.seen_at >= event.seen_at:
        return
    row.chain_id, row.contract = event.chain_id, to_hex(event.contract)
    row.publisher, row.tx_hash = to_hex(event.publisher), to_hex(event.transaction)
    row.block, row.seen_at = event.block, event.seen_at


def _open(store: DayStore, rental_id: str, seq: int, *, grace: timedelta) -> Conflict:
    day = day_of(store.newest_arrival(rental_id, store.first_open(rental_id), seq))
    last = store.last_closed()
    if last is not None:
        # It was written after its own day was closed.
        day = max(day, last + 1)
    closes_at = (end_of(day) + grace).isoformat()
    detail = f"reading {seq} belongs to day {day}, which is closed at {closes_at}"
    return Conflict("day_not_closed", detail, day=str(day), closes_at=closes_at)


def _readings_of(store: DayStore, own: DeviceDayRow) -> list[bytes]:
    hashes = [
        each
        for part in store.spans_of(own.device, own.day)
        for each in store.hashes(part.rental_id, part.first_seq, part.last_seq)
    ]
    if len(hashes) != own.readings:
        detail = f"{len(hashes)} of the {own.readings} readings under the device's root are kept"
        raise Conflict("readings_dropped", detail, day=str(own.day))
    return hashes


def _path(tree: Tree, leaf: bytes) -> list[str]:
    return [to_hex(sibling) for sibling in tree.proof(leaf)]


def _shown(own: DeviceDayRow, day: ClosedDay) -> dict[str, Any]:
    return {
        "device": own.device,
        "day": str(own.day),
        "device_root": own.root,
        "device_readings": str(own.readings),
        "day_root": day.root,
        "batch": to_hex(batch_of(READINGS, own.day)),
        "announcement": _announcement(day),
    }


def _announcement(day: ClosedDay) -> dict[str, Any] | None:
    if day.tx_hash is None:
        return None
    return {
        "chain_id": str(day.chain_id),
        "contract": day.contract,
        "publisher": day.publisher,
        "transaction": day.tx_hash,
        "block": day.block,
    }
