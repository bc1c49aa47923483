"""The listing service's only queries."""

from datetime import datetime
from functools import lru_cache
from typing import Any, NamedTuple

from sqlalchemy import (
    ColumnElement,
    Connection,
    Integer,
    Select,
    String,
    Text,
    and_,
    bindparam,
    cast,
    func,
    join,
    or_,
    tuple_,
    update,
)
from sqlalchemy import select as select_columns
from sqlalchemy.orm import Mapped
from sqlmodel import Session, col, select

from services.chassis.tables import UtcDateTime
from services.listing.cursor import Position
from services.listing.models import Device, ListingRow
from services.listing.publication import CLOCK_TOLERANCE, LONGEST_LISTING
from services.messages.errors import NotFound

Pair = tuple[ListingRow, Device]
_ESCAPE = "/"


class Found(NamedTuple):
    """A listing as a search shows it; its document is JSON, as it is kept."""

    listing: str
    document: str
    signature: str
    published_at: datetime
    registered: bool
    last_seen: datetime | None


def find_device(session: Session, device: str) -> Device | None:
    """Return the device with this id, if it was ever admitted."""
    return session.get(Device, device)


def found(row: Device | None, device: str) -> Device:
    """Return the device that was looked for. Raises NotFound where there is none."""
    if row is None:
        raise NotFound("device_not_found", f"no device {device}", device=device)
    return row


def lock_device(session: Session, device: str) -> Device | None:
    """Return the device, kept from other writers until this unit of work ends."""
    return session.exec(select(Device).where(Device.device == device).with_for_update()).one_or_none()


# Made once: every device says ten times a minute that it is there.
_SEEN = (
    update(Device)
    .where(
        col(Device.device) == bindparam("of_device"),
        col(Device.meter) == bindparam("by_meter"),
        col(Device.heartbeat_at) < bindparam("at"),
    )
    .values(heartbeat_at=bindparam("at"), last_seen=bindparam("now"))
)


def note_heartbeat(connection: Connection, row: Device, *, at: int, now: datetime) -> bool:
    """Note a device's sign of life, and return whether its key and its last one were still these."""
    values = {"of_device": row.device, "by_meter": row.meter, "at": at, "now": now}
    return bool(connection.execute(_SEEN, values).rowcount)


def find_listing(session: Session, listing: str) -> Pair | None:
    """Return a listing with its device."""
    statement = select(ListingRow, Device).join(Device, col(Device.device) == col(ListingRow.device))
    return session.exec(statement.where(ListingRow.listing == listing)).one_or_none()


def page_of_devices(session: Session, *, after: Position | None, limit: int) -> list[Device]:
    """Return up to limit + 1 devices, newest first: the one too many says that there is a next page."""
    statement = (
        select(Device).order_by(col(Device.admitted_at).desc(), col(Device.device).desc()).limit(limit + 1)
    )
    if after is not None:
        statement = statement.where(_older(col(Device.admitted_at), col(Device.device), after))
    return list(session.exec(statement))


def page_of_listings(
    connection: Connection,
    *,
    kind: str | None,
    words: str | None,
    now: datetime,
    seen_since: datetime | None,
    unseen_since: datetime | None,
    after: Position | None,
    limit: int,
) -> list[Found]:
    """Return up to limit + 1 listings that count now, newest first, narrowed by whatever is given."""
    patterns = [f"%{_literally(word)}%" for word in (words or "").lower().split()]
    narrows = {
        "kind": kind,
        "seen_since": seen_since,
        "unseen_since": unseen_since,
        "after": None if after is None else after.moment,
    }
    given = {name: value for name, value in narrows.items() if value is not None}
    values = {
        **given,
        **{f"word_{number}": pattern for number, pattern in enumerate(patterns)},
        "valid_at": int(now.timestamp()),
        # Implied by the other, and it spares a walk through what was listed in other years.
        "published_since": now - LONGEST_LISTING - CLOCK_TOLERANCE,
        "limit": limit + 1,
    }
    if after is not None:
        values["after_key"] = after.key
    rows = connection.execute(_search(frozenset(given), len(patterns)), values)
    return [Found(*row) for row in rows]


@lru_cache(maxsize=256)
def _search(given: frozenset[str], words: int) -> Select[*tuple[Any, ...]]:
    """Return the search by these conditions and so many words; building it would take longer than asking."""
    listing, seen = col(ListingRow.listing), col(Device.last_seen)
    published, text = col(ListingRow.published_at), col(ListingRow.words)
    position = tuple_(published, listing) < tuple_(
        bindparam("after", type_=UtcDateTime), bindparam("after_key", type_=String)
    )
    conditions: dict[str, ColumnElement[bool]] = {
        "kind": col(ListingRow.kind) == bindparam("kind"),
        "seen_since": seen >= bindparam("seen_since"),
        "unseen_since": or_(seen.is_(None), seen < bindparam("unseen_since")),
        "after": position,
    }
    narrowed = [condition for name, condition in conditions.items() if name in given]
    narrowed += [text.like(bindparam(f"word_{number}"), escape=_ESCAPE) for number in range(words)]
    narrowed += [
        col(ListingRow.valid_until) > bindparam("valid_at"),
        published > bindparam("published_since"),
    ]
    # By one condition: with the device's id beside it PostgreSQL takes the two for independent, expects one
    # row, and sorts every listing there is.
    both = join(ListingRow, Device, col(Device.listing) == listing)
    newest_first = (published.desc(), listing.desc())
    shown = (cast(col(ListingRow.document), Text), col(ListingRow.signature))
    told = (published, col(Device.registered), seen)
    if not words:
        page = select_columns(listing, *shown, *told).select_from(both).where(*narrowed)
        return page.order_by(*newest_first).limit(bindparam("limit", type_=Integer))
    # First which, by an index that has the words in it; only those that are shown are then read whole.
    which = select_columns(listing, *told).select_from(both).where(*narrowed)
    found = which.order_by(*newest_first).limit(bindparam("limit", type_=Integer)).subquery()
    return (
        select_columns(found.c.listing, *shown, found.c.published_at, found.c.registered, found.c.last_seen)
        .join_from(found, ListingRow, listing == found.c.listing)
        .order_by(found.c.published_at.desc(), found.c.listing.desc())
    )


def count_devices(session: Session, *, seen_since: datetime) -> tuple[int, int]:
    """Return how many devices there are, and how many of them gave a sign of life since then."""
    seen = func.count().filter(col(Device.last_seen) >= seen_since)
    everyone, online = session.exec(select(func.count(), seen).select_from(Device)).one()
    return everyone, online


def count_listed(session: Session, *, valid_at: int) -> int:
    """Return how many devices have a listing that counts at this Unix time."""
    statement = (
        select(func.count())
        .select_from(ListingRow)
        .join(Device, col(Device.listing) == col(ListingRow.listing))
    )
    return session.exec(statement.where(ListingRow.valid_until > valid_at)).one()


def _literally(word: str) -> str:
    """Return a pattern that this word alone fits."""
    for special in (_ESCAPE, "%", "_"):
        word = word.replace(special, _ESCAPE + special)
    return word


def _older(moment: Mapped[datetime], key: Mapped[str], than: Position) -> ColumnElement[bool]:
    return or_(moment < than.moment, and_(moment == than.moment, key < than.key))
