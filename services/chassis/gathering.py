"""How a service hears many small events: as many as wait, in one unit of work.

For events of which hundreds come a second and each changes little, so that a transaction each would cost
more than what is done in it. Each is still heard once, and acknowledged once that is durable. Where one
fails, each is handled alone, and what fails alone comes again later as everywhere: none holds up the others.
"""

from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import wraps
from typing import Any, TypeVar

from nameko.exceptions import ContainerBeingKilled
from sqlmodel import Session

from services.chassis.bundles import Delivery, delivered
from services.chassis.database import Database
from services.chassis.handled import note_rows
from services.chassis.inbox import HearingService, OnEvent
from services.messages.event import Event

# One transaction of some tens of milliseconds.
MOST = 200

Handler = TypeVar("Handler", bound=Callable[..., None])


@dataclass
class _Delivered:
    """An event as it came, and what went wrong with it."""

    event: Event
    delivery: Delivery
    error: BaseException | None = None


class _Gathered:
    """What a worker handles: as many as wait when it begins."""

    def __init__(self, waiting: deque[_Delivered]) -> None:
        self._waiting = waiting
        self.taken: list[_Delivered] = []

    def take(self) -> Sequence[_Delivered]:
        """Take what waits, beside what was taken before."""
        while self._waiting and len(self.taken) < MOST:
            self.taken.append(self._waiting.popleft())
        return self.taken


class OnEvents(OnEvent):
    """A method that hears one type of event, many at once: ``method(self, session, events)``."""

    def setup(self) -> None:
        """Declare where the event arrives, as for any."""
        super().setup()
        self._waiting: deque[_Delivered] = deque()
        self._busy = False

    def stop(self) -> None:
        """Take no more events; what no worker has begun goes back to its queue."""
        super().stop()
        self._give_back()

    def handle_message(self, body: Any, message: Any) -> None:
        """Let it wait for the worker that is at work, or start one."""
        for delivery in delivered(body, message, self.queue_consumer):
            event = self.event_of(delivery)
            if event is not None:
                self._waiting.append(_Delivered(event, delivery))
        self._go_on()

    def _go_on(self) -> None:
        if self._busy or not self._waiting:
            return
        self._busy = True
        gathered = _Gathered(self._waiting)
        # Many events, one worker: it goes on with the trace of the first.
        context = self.unpack_message_headers(self._waiting[0].delivery)

        def done(_: Any, result: Any, exc_info: Any) -> tuple[Any, Any]:
            failure = None if exc_info is None else exc_info[1]
            # A worker that failed before it took anything, on its way to the handler, failed for what waited.
            self._settle(gathered.taken if failure is None else gathered.take(), failure)
            return result, exc_info

        try:
            self.container.spawn_worker(self, (gathered,), {}, context_data=context, handle_result=done)
        except ContainerBeingKilled:
            self._give_back()

    def _give_back(self) -> None:
        # The last one first: each returns to the head of the queue.
        while self._waiting:
            self._waiting.pop().delivery.give_back()

    def _settle(self, taken: Sequence[_Delivered], failure: BaseException | None) -> None:
        self._busy = False
        for each in taken:
            self.settle(each.delivery, each.error or failure)
        # Not from here: this is still inside a worker, and a full pool would run the next one inside it, and
        # the one after inside that, until the stack ends.
        self.container.spawn_managed_thread(self._go_on)


def on_events(
    event_class: type[Event], *, work: Callable[[Database, Callable[[Session], None]], None] = Database.work
) -> Callable[[Handler], Handler]:
    """Mark ``method(self, session, events)`` to hear this type of event, each once and in order.

    The session is open and commits after the method returned; raising rolls back, and each is handled alone.
    ``work`` is `Database.work_on_locked` for a method that locks each row it goes by, the rows in one order.
    """

    def mark(handler: Handler) -> Handler:
        @wraps(handler)
        def handle_gathered(service: HearingService, gathered: _Gathered) -> None:
            def handle(session: Session) -> None:
                events = {each.event.key(): each.event for each in some}
                new = _note(session, handler.__name__, list(events.values()), service)
                if new:
                    handler(service, session, new)

            taken = gathered.take()
            some = taken
            try:
                work(service.database, handle)
            except Exception as error:  # noqa: BLE001 - whatever it was, it is one event's, and comes again with it
                if len(taken) == 1:
                    taken[0].error = error
                    return
            else:
                return
            for each in taken:
                some = [each]
                try:
                    work(service.database, handle)
                except Exception as error:  # noqa: BLE001 - as above
                    each.error = error

        marked: Handler = OnEvents.decorator(event_class)(handle_gathered)
        return marked

    return mark


def _note(
    session: Session, handler: str, events: Sequence[Event], service: HearingService
) -> Sequence[Event]:
    """Note events as handled, and return those that were not before."""
    keys = {f"{event.source}.{event.type}:{event.key()}": event for event in events}
    now = service.clock.now()
    rows = [{"handler": handler, "key": key, "handled_at": now} for key in keys]
    new = note_rows(session, rows)
    return [event for key, event in keys.items() if key in new]
