"""What a service has to say leaves through its outbox: a row in the very transaction that made it true.

No framework in here: the asyncio ingest adds events by the same function as the eventlet services.
"""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import bindparam, delete, func, select, update
from sqlalchemy.dialects import postgresql, sqlite
from sqlmodel import Session

from services.chassis.database import EVENT_ADDED
from services.chassis.rows import WrittenJson, insert_rows
from services.chassis.tables import OUTBOX
from services.chassis.tracing import current_traceparent
from services.messages.errors import Conflict
from services.messages.event import Event


@dataclass(frozen=True, kw_only=True)
class OutboxRow:
    """An event that has not left yet."""

    id: int
    key: str
    source: str
    type: str
    payload: dict[str, Any]
    trace: str | None
    created_at: datetime


# An event whose key was told before is left as it is, and the transaction can go on.
_ADDED = {
    name: insert(OUTBOX).on_conflict_do_nothing(index_elements=[OUTBOX.c.key]).returning(OUTBOX.c.id)
    for name, insert in (("postgresql", postgresql.insert), ("sqlite", sqlite.insert))
}
# Made once: each relay asks it five times a second.
_UNSENT = (
    select(OUTBOX)
    .where(OUTBOX.c.sent_at.is_(None), OUTBOX.c.type.not_in(bindparam("without_types", expanding=True)))
    .order_by(OUTBOX.c.id)
    .limit(bindparam("most"))
    .with_for_update(skip_locked=True)
)
_SENT = (
    update(OUTBOX).where(OUTBOX.c.id.in_(bindparam("ids", expanding=True))).values(sent_at=bindparam("at"))
)
# The same of whoever follows: ten times a second, mostly for nothing.
_SINCE = (
    select(OUTBOX)
    .where((OUTBOX.c.id > bindparam("after")) | OUTBOX.c.id.in_(bindparam("missing", expanding=True)))
    .order_by(OUTBOX.c.id)
    .limit(bindparam("most"))
)


def add_event(session: Session, event: Event, *, now: datetime) -> None:
    """Publish `event` once this session's transaction commits.

    At least once, in order of adding, whatever crashes.

    Raises Conflict("event_exists") when an event of this type with this key was added before.
    """
    row = _row(event, trace=current_traceparent(), now=now)
    added = session.connection().execute(_ADDED[session.get_bind().dialect.name], row)
    if added.first() is None:
        detail = f"event {event.type} with key {event.key()} was published before"
        raise Conflict("event_exists", detail, type=event.type, key=event.key())
    session.info[EVENT_ADDED] = True


def add_new_events(session: Session, events: Sequence[Event], *, now: datetime) -> None:
    """Publish many events, as `add_event` does, in their order, by one statement.

    Keys that were published before are the caller's mistake, and raise IntegrityError.
    """
    trace = current_traceparent()
    if events:
        insert_rows(session, OUTBOX, [_row(event, trace=trace, now=now) for event in events])
        session.info[EVENT_ADDED] = True


def _row(event: Event, *, trace: str | None, now: datetime) -> dict[str, Any]:
    return {
        "key": f"{event.type}:{event.key()}",
        "source": event.source,
        "type": event.type,
        "payload": WrittenJson(event.model_dump_json()),
        "trace": trace,
        "created_at": now,
    }


def add_events(
    session: Session,
    kind: type[Event],
    keyed_payloads: Sequence[tuple[str, str]],
    *,
    traces: Sequence[str],
    now: datetime,
) -> None:
    """Publish many events of one type, as `add_event` does, from keys, JSON as text and traces.

    For events that are too many to be built and written one by one; keys that were published before are the
    caller's mistake, and raise IntegrityError at the latest when the transaction commits.
    """
    rows = [
        {
            "key": f"{kind.type}:{key}",
            "source": kind.source,
            "type": kind.type,
            "payload": WrittenJson(payload),
            "trace": trace,
            "created_at": now,
        }
        for (key, payload), trace in zip(keyed_payloads, traces, strict=True)
    ]
    if rows:
        insert_rows(session, OUTBOX, rows)
        session.info[EVENT_ADDED] = True


def unsent_events(
    session: Session, *, limit: int, without_ids: Collection[int] = (), without_types: Collection[str] = ()
) -> Sequence[OutboxRow]:
    """Return up to `limit` unsent events in order, leaving out some.

    They are locked against other copies where the database can.
    """
    query = _UNSENT.where(OUTBOX.c.id.not_in(without_ids)) if without_ids else _UNSENT
    rows = (
        session.connection().execute(query, {"without_types": list(without_types), "most": limit}).mappings()
    )
    return [OutboxRow(**{name: row[name] for name in OutboxRow.__dataclass_fields__}) for row in rows]


def events_since(
    session: Session, *, after: int, missing: Collection[int], limit: int
) -> Sequence[OutboxRow]:
    """Return up to `limit` events with a number above `after`, or one of the `missing`, in order.

    For whoever follows what a service says in its own database. Numbers are given before a transaction
    commits, so one may come to be seen after a higher one.
    """
    asked = {"after": after, "missing": list(missing), "most": limit}
    rows = session.connection().execute(_SINCE, asked).mappings()
    return [OutboxRow(**{name: row[name] for name in OutboxRow.__dataclass_fields__}) for row in rows]


def last_event_before(session: Session, moment: datetime) -> int:
    """Return the number of the last event that is older than this, 0 where none is."""
    older = select(OUTBOX.c.id).where(OUTBOX.c.created_at < moment).order_by(OUTBOX.c.id.desc()).limit(1)
    return session.execute(older).scalar_one_or_none() or 0


def mark_sent(session: Session, ids: Collection[int], *, now: datetime) -> None:
    """Note that these events have left for good."""
    if ids:
        session.connection().execute(_SENT, {"ids": list(ids), "at": now})


def send_again(session: Session, *, since: datetime) -> int:
    """Have every event that was added since this moment leave again; return how many.

    For a bus that was lost with what it held. Who heard one before ignores it, by its key.
    """
    again = update(OUTBOX).where(OUTBOX.c.created_at >= since, OUTBOX.c.sent_at.is_not(None))
    return len(session.execute(again.values(sent_at=None).returning(OUTBOX.c.id)).all())


@dataclass(frozen=True)
class Backlog:
    """What has not left yet: how many events, and when the oldest was added."""

    unsent: int
    oldest: datetime | None


def backlog_of(session: Session) -> Backlog:
    """Return what has not left yet."""
    query = select(func.count(), func.min(OUTBOX.c.created_at)).where(OUTBOX.c.sent_at.is_(None))
    unsent, oldest = session.execute(query).one()
    return Backlog(unsent=unsent, oldest=oldest)


def forget_sent(session: Session, *, before: datetime, limit: int) -> int:
    """Delete those of the `limit` oldest events that left before this moment; return how many.

    Only where nothing else relies on an event's key being taken.
    """
    oldest = session.execute(select(OUTBOX.c.id, OUTBOX.c.sent_at).order_by(OUTBOX.c.id).limit(limit))
    ids = [number for number, sent_at in oldest if sent_at is not None and sent_at < before]
    if ids:
        session.execute(delete(OUTBOX).where(OUTBOX.c.id.in_(ids)))
    return len(ids)


def count_unsent(session: Session) -> int:
    """Return how many events have not left yet."""
    unsent: int = session.execute(select(func.count()).where(OUTBOX.c.sent_at.is_(None))).scalar_one()
    return unsent
