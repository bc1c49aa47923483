"""Live streams.

Server-sent events that look again every moment, speak when something changed, and end with their subject.

A stream asks the services instead of hearing events, so that any copy of the gateway can serve it and a
restart loses nothing.
"""

import json
from collections.abc import Callable, Generator, Iterator
from dataclasses import dataclass
from time import monotonic

from flask import Response, stream_with_context

from hireling.rental.states import State
from services.gateway.metrics import STREAMS
from services.gateway.rpc import Neighbours
from services.messages.errors import OutcomeUnknown, Unavailable

EVENT_STREAM = "text/event-stream"
RECONNECT_MS = 2000
# Nothing follows these; a settled rental still gets its bill.
OVER = frozenset({State.SETTLED, State.EXPIRED, State.CANCELLED, State.RESOLVED, State.FORCE_CLOSED})
BILLED = frozenset({State.SETTLED, State.RESOLVED, State.FORCE_CLOSED})


@dataclass(frozen=True)
class Look:
    """What a stream saw: what to send when it is new, and whether that is the last of it."""

    data: str
    last: bool = False


def rental_events(here: Neighbours, rental_id: str) -> Response:
    """Stream a rental as JSON until it is over and billed. Raises NotFound before the stream begins."""

    def look() -> Look:
        rental = here.call("settlement", "get_rental", rental_id)
        last = is_over(State(rental["state"]), billed=rental["bill"])
        return Look(json.dumps(rental, separators=(",", ":")), last=last)

    return event_stream(here, "rental", look)


def is_over(state: State, *, billed: bool) -> bool:
    """Return whether nothing more will happen to a rental in this state, its bill included."""
    return state in OVER and (billed or state not in BILLED)


def event_stream(here: Neighbours, event: str, look: Callable[[], Look]) -> Response:
    """Stream what `look` sees.

    Its first look may raise, as every route may; Unavailable where too many watch already.
    """
    first = look()
    if not here.streams.acquire(blocking=False):
        limit = here.settings.max_streams
        raise Unavailable(
            "too_many_streams", f"this gateway serves {limit} live streams at once", limit=limit
        )
    response = Response(stream_with_context(_Stream(here, event, look, first)), mimetype=EVENT_STREAM)
    response.headers["Cache-Control"] = "no-store"
    response.headers["X-Accel-Buffering"] = "no"
    return response


class _Stream:
    """The stream's chunks; closing it, at the end or because nobody reads, gives its place free."""

    def __init__(self, here: Neighbours, event: str, look: Callable[[], Look], first: Look) -> None:
        self._here = here
        self._chunks = _chunks(here, event, look, first)
        self._open = True
        STREAMS.inc()

    def __iter__(self) -> Iterator[str]:
        return self

    def __next__(self) -> str:
        return next(self._chunks)

    def close(self) -> None:
        self._chunks.close()
        if self._open:
            self._open = False
            self._here.streams.release()
            STREAMS.dec()


def _chunks(here: Neighbours, event: str, look: Callable[[], Look], seen: Look) -> Generator[str, None, None]:
    yield f"retry: {RECONNECT_MS}\n" + _message(event, seen.data)
    spoke = monotonic()
    while not seen.last:
        here.pause(here.settings.poll_seconds)
        try:
            now = look()
        except (Unavailable, OutcomeUnknown):
            now = seen  # a service restarts; its next answer tells what happened meanwhile
        if now != seen:
            seen, spoke = now, monotonic()
            yield _message(event, now.data)
        elif monotonic() - spoke >= here.settings.keep_alive_seconds:  # a look may take long itself
            spoke = monotonic()
            yield ": still here\n\n"
    yield _message("end", "")


def _message(event: str, data: str) -> str:
    lines = "".join(f"data: {line}\n" for line in data.split("\n"))
    return f"event: {event}\n{lines}\n"
