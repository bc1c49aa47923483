"""The queries about messages to devices. None of them commits."""

import json
from collections.abc import Collection, Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any, NamedTuple

from sqlalchemy import Connection, Table, bindparam, select, update
from sqlmodel import Session

from services.chassis.rows import WrittenJson, insert_rows
from services.metering.models import Downlink

_DOWNLINK: Table = Downlink.metadata.tables["downlink"]
# Made once: each ingest asks it five times a second.
_UNPUBLISHED = (
    select(_DOWNLINK.c.id, _DOWNLINK.c.topic, _DOWNLINK.c.payload)
    .where(_DOWNLINK.c.published_at.is_(None))
    .order_by(_DOWNLINK.c.id)
    .limit(bindparam("most"))
)
_PUBLISHED = (
    update(_DOWNLINK)
    .where(_DOWNLINK.c.id.in_(bindparam("ids", expanding=True)))
    .values(published_at=bindparam("at"))
)


class Pending(NamedTuple):
    """A message to a device that is not published yet."""

    id: int
    topic: str
    payload: dict[str, Any]


def mark_published(connection: Connection, ids: Collection[int], *, now: datetime) -> None:
    """Note that the broker has these messages."""
    connection.execute(_PUBLISHED, {"ids": list(ids), "at": now})


class DownlinkStore:
    """What devices are to be told."""

    def __init__(self, session: Session) -> None:
        self.session = session

    def add_downlink(self, topic: str, payload: Mapping[str, Any], *, now: datetime) -> None:
        """Have a message published to a device once this transaction commits."""
        self.add_downlinks([(topic, payload)], now=now)

    def add_downlinks(self, messages: Iterable[tuple[str, Mapping[str, Any]]], *, now: datetime) -> None:
        """Have messages published to devices, in this order, once this transaction commits."""
        rows = [
            {"topic": topic, "payload": WrittenJson(json.dumps(payload)), "created_at": now}
            for topic, payload in messages
        ]
        insert_rows(self.session, _DOWNLINK, rows)

    def unpublished(self, *, limit: int) -> Sequence[Pending]:
        """Return up to `limit` messages to devices that are not published yet, in order."""
        return [Pending(*row) for row in self.session.connection().execute(_UNPUBLISHED, {"most": limit})]
