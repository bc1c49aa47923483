"""How a service hears events: each once, however often it is delivered.

A failure comes again later, and is never lost.

A handler that fails is tried again after RETRY_DELAYS, by a copy of the message that waits in a queue with a
time to live and returns to the handler's own queue; requeueing instead would loop (370 tries a second were
measured). After MAX_TRIES it is parked with its reason in ``<queue>.parked``, where an operator finds it.
"""

import inspect
from collections import deque
from collections.abc import Callable
from datetime import datetime
from functools import partial, wraps
from typing import Any, Protocol, TypeVar

from kombu import Exchange, Queue
from nameko.amqp.publish import Publisher
from nameko.events import get_event_exchange
from nameko.exceptions import ContainerBeingKilled
from nameko.extensions import Entrypoint
from nameko.messaging import HeaderDecoder, QueueConsumer
from sqlmodel import Session

from services.chassis.bundles import Delivery, delivered
from services.chassis.clock import Clock
from services.chassis.counts import EVENTS_HEARD
from services.chassis.database import Database
from services.chassis.handled import note_rows
from services.chassis.logging import get_logger
from services.chassis.metrics import from_zero
from services.chassis.parking import PARKED, REASON_HEADER, TRIES_HEADER
from services.messages.event import Event

# Growing from what a deadlock needs to what a restart of a neighbour needs; the last one repeats.
RETRY_DELAYS_MS = (200, 1_000, 5_000, 15_000, 60_000)
MAX_TRIES = 20

# A classic queue may lose a message that moves on while its broker dies; these keep it until the target has
# confirmed. The queues that are consumed are classic, unless the operator's virtual host defaults to quorum:
# RabbitMQ 3.10 never answers who consumes a quorum queue while it recovers (seen after a kill -9).
_SAFE_DEAD_LETTERING = {
    "x-queue-type": "quorum",
    "x-dead-letter-strategy": "at-least-once",
    "x-overflow": "reject-publish",
}

_log = get_logger(__name__)

Handler = TypeVar("Handler", bound=Callable[..., None])


class HearingService(Protocol):
    """What a service needs to hear events; every `Service` has it."""

    database: Database
    clock: Clock


class OnEvent(Entrypoint, HeaderDecoder):
    """A method that hears one type of event: ``method(self, session, event)``, in a unit of work."""

    queue_consumer = QueueConsumer()
    _stopping = False

    def __init__(self, event_class: type[Event], **options: Any) -> None:
        self.event_class = event_class
        super().__init__(**options)

    def setup(self) -> None:
        """Declare where the event arrives, and where it waits when it fails."""
        container = self.container
        source, event_type = self.event_class.source, self.event_class.type
        self.queue = Queue(
            queue_name(self.event_class, service=container.service_name, handler=self.method_name),
            exchange=get_event_exchange(source, container.config),
            routing_key=event_type,
            durable=True,
        )
        self.parked = Queue(f"{self.queue.name}{PARKED}", durable=True)
        self.publisher = Publisher(container.config["AMQP_URI"])
        self.queue_consumer.register_provider(self)
        from_zero(EVENTS_HEARD, [container.service_name], [self._counted_as], ["done", "retried", "parked"])

    def stop(self) -> None:
        """Take no more events; what no worker has begun goes back to its queue."""
        self._stopping = True
        self.queue_consumer.unregister_provider(self)

    def handle_message(self, body: Any, message: Any) -> None:
        """Run the handler in a worker, for the events of a bundle one after the other."""
        self._handle_next(deque(delivered(body, message, self.queue_consumer)))

    def _handle_next(self, waiting: deque[Delivery]) -> None:
        while waiting:
            delivery = waiting.popleft()
            event = self.event_of(delivery)
            if event is None:
                continue
            context = self.unpack_message_headers(delivery)
            done = partial(self._handle_result, delivery, waiting)
            try:
                self.container.spawn_worker(self, (event,), {}, context_data=context, handle_result=done)
            except ContainerBeingKilled:
                delivery.give_back()
            return

    def event_of(self, delivery: Delivery) -> Event | None:
        """Return the event that was delivered, None where it is none: then it is put aside."""
        try:
            return self.event_class.model_validate(delivery.body)
        except ValueError as error:
            self.put_aside(delivery, error)
            return None

    def _handle_result(  # noqa: PLR0917 - Nameko hands over the last three by position
        self, delivery: Delivery, waiting: deque[Delivery], worker_ctx: Any, result: Any, exc_info: Any
    ) -> tuple[Any, Any]:
        self.settle(delivery, None if exc_info is None else exc_info[1])
        if waiting and self._stopping:
            waiting[0].give_back()
        elif waiting:
            # Not from here: this is still inside a worker, and a full pool would run the next one inside it.
            self.container.spawn_managed_thread(partial(self._handle_next, waiting))
        return result, exc_info

    def settle(self, delivery: Delivery, error: BaseException | None) -> None:
        """Have an event that was handled never come again, and one that was not come later."""
        if error is None:
            delivery.done()
            self.count("done")
        else:
            self.put_aside(delivery, error)

    def put_aside(self, delivery: Delivery, error: BaseException) -> None:
        """Publish the event again, to come back later or to be parked, and only then acknowledge it."""
        tries = int(delivery.headers.get(TRIES_HEADER, 0)) + 1
        headers = {**delivery.headers, TRIES_HEADER: tries}
        fields = {
            "event_type": self.event_class.type,
            "handler": self.method_name,
            "tries": tries,
            "reason": repr(error)[:500],
        }
        if tries >= MAX_TRIES:
            self.count("parked")
            _log.error("event_parked", queue=self.parked.name, exc_info=error, **fields)
            headers[REASON_HEADER] = fields["reason"]
            self.publisher.publish(
                delivery.body, routing_key=self.parked.name, declare=[self.parked], headers=headers
            )
        else:
            self.count("retried")
            delay = RETRY_DELAYS_MS[min(tries, len(RETRY_DELAYS_MS)) - 1]
            _log.warning("event_retried", delay_ms=delay, exc_info=error, **fields)
            exchange, queue = _waiting_room(delay)
            self.publisher.publish(
                delivery.body,
                exchange=exchange,
                routing_key=self.queue.name,
                declare=[exchange, queue],
                headers=headers,
            )
        delivery.done()

    @property
    def _counted_as(self) -> str:
        return f"{self.event_class.source}.{self.event_class.type}"

    def count(self, outcome: str) -> None:
        """Count a delivery by what came of it."""
        EVENTS_HEARD.labels(self.container.service_name, self._counted_as, outcome).inc()


def queue_name(event_class: type[Event], *, service: str, handler: str) -> str:
    """Return the queue in which a handler's events wait; what it failed at is in ``<queue>.parked``."""
    return f"evt-{event_class.source}-{event_class.type}--{service}.{handler}"


def heard_by(service_class: type, *, name: str) -> list[str]:
    """Return the queues of all handlers of a service of this name, in order."""
    return sorted(
        queue_name(entrypoint.event_class, service=name, handler=handler)
        for handler, method in inspect.getmembers(service_class, inspect.isfunction)
        for entrypoint in getattr(method, "nameko_entrypoints", ())
        if isinstance(entrypoint, OnEvent)
    )


def on_event(event_class: type[Event]) -> Callable[[Handler], Handler]:
    """Mark ``method(self, session, event)`` to hear this type of event, each event once.

    The session is open and commits after the method returned; raising rolls back and tries again later. An
    event that was delivered before is ignored, by its key.
    """

    def mark(handler: Handler) -> Handler:
        @wraps(handler)
        def handle_once(service: HearingService, event: Event) -> None:
            def handle(session: Session) -> None:
                if _note(session, handler.__name__, event, now=service.clock.now()):
                    handler(service, session, event)
                else:
                    _log.info(
                        "event_ignored", reason="handled before", event_type=event.type, event_key=event.key()
                    )

            # Handlers of one row's events lose races against each other: again at once, long before the next
            # delivery.
            service.database.work(handle)

        marked: Handler = OnEvent.decorator(event_class)(handle_once)
        return marked

    return mark


def _waiting_room(delay_ms: int) -> tuple[Exchange, Queue]:
    """Return the exchange and queue in which messages of every handler wait.

    The routing key is the queue they return to.
    """
    name = f"hireling.retry.{delay_ms}"
    exchange = Exchange(name, type="topic", durable=True)
    arguments = {"x-message-ttl": delay_ms, "x-dead-letter-exchange": ""}
    return exchange, Queue(
        name, exchange, routing_key="#", durable=True, queue_arguments={**arguments, **_SAFE_DEAD_LETTERING}
    )


def _note(session: Session, handler: str, event: Event, *, now: datetime) -> bool:
    """Note the event as handled and return whether it was new."""
    row = {"handler": handler, "key": f"{event.source}.{event.type}:{event.key()}", "handled_at": now}
    return bool(note_rows(session, [row]))
