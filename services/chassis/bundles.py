"""Many events in one message: what was said at once leaves at once.

A message costs its publisher, the broker and its listener more than most handlers do with the event. Each
event of a bundle is still heard, counted and tried again on its own.
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Protocol

from services.chassis.outbox import OutboxRow
from services.chassis.rpc import TRACE_HEADER

BUNDLE_HEADER = "hireling-bundle"


class Taker(Protocol):
    """What messages are acknowledged and returned through: Nameko's queue consumer."""

    def ack_message(self, message: Any) -> None:
        """Acknowledge a message."""

    def requeue_message(self, message: Any) -> None:
        """Return a message to its queue."""


class Delivery:
    """An event as it came, alone in its message or with others: the body, and its headers."""

    def __init__(self, body: Any, headers: Mapping[str, Any], whole: "_Whole") -> None:
        self.body, self.headers = body, headers
        self._whole = whole

    def done(self) -> None:
        """Have it never come again."""
        self._whole.note_done()

    def give_back(self) -> None:
        """Have it come again, with those that it came with: who heard one of them ignores it."""
        self._whole.give_back()


class _Whole:
    """A message, acknowledged once all that came in it is done with."""

    def __init__(self, message: Any, taker: Taker, *, size: int) -> None:
        self._message, self._taker, self._left = message, taker, size
        self._is_back = False

    def note_done(self) -> None:
        self._left -= 1
        if not self._left and not self._is_back:
            self._taker.ack_message(self._message)

    def give_back(self) -> None:
        if not self._is_back:
            self._is_back = True
            self._taker.requeue_message(self._message)


def trace_headers(row: OutboxRow) -> dict[str, str]:
    """Return the headers by which whoever hears the event goes on with its trace."""
    return {TRACE_HEADER: row.trace} if row.trace else {}


def bundled(rows: Sequence[OutboxRow]) -> tuple[list[Any], dict[str, Any]]:
    """Return the body and the headers of the one message that these events of one type leave in."""
    body = [{"payload": row.payload, "headers": trace_headers(row)} for row in rows]
    return body, {BUNDLE_HEADER: len(rows)}


def by_type(rows: Sequence[OutboxRow]) -> Iterator[Sequence[OutboxRow]]:
    """Yield the events type by type, those of each in their order: no queue hears two types."""
    found: dict[tuple[str, str], list[OutboxRow]] = {}
    for row in rows:
        found.setdefault((row.source, row.type), []).append(row)
    yield from found.values()


def delivered(body: Any, message: Any, taker: Taker) -> list[Delivery]:
    """Return the events that came in a message."""
    if BUNDLE_HEADER not in message.headers:
        return [Delivery(body, message.headers, _Whole(message, taker, size=1))]
    whole = _Whole(message, taker, size=len(body))
    return [Delivery(each["payload"], each["headers"], whole) for each in body]
