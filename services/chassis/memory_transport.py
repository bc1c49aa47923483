"""The in-process message bus.

A kombu transport named ``hireling-memory`` with RabbitMQ's semantics as far as we use them.

kombu's own ``memory://`` leaves out what Nameko needs: content_type among a message's properties, consumers
woken instead of polling each second, NO_ROUTE for a mandatory message nobody hears, and a prefetch that does
not stop nested calls (its virtual prefetch is per channel, so exactly max_workers calls that each wait for
another one would never end). Here a message is requeued to the queue it came from when its consumer's channel
closes, a queue's x-message-ttl with x-dead-letter-exchange moves a message on when it expires, and a message
tagged with SETTLEMENT_HEADER reports when every consumer has acknowledged every copy: in one process that is
the only moment from which a crash can no longer lose it.

``hireling-memory://name`` is a bus of its own for every name. It belongs to one eventlet hub, thus to one
thread.
"""
# ruff: noqa: FBT001, FBT002 - the signatures are kombu's

import math
from collections.abc import Callable
from time import monotonic
from typing import Any

from eventlet.event import Event
from kombu.exceptions import ChannelError
from kombu.transport import virtual

from services.chassis.memory_broker import RawMessage, broker_named
from services.chassis.settings import MEMORY_SCHEME


class MemoryChannel(virtual.Channel):
    """A channel of the in-process bus."""

    do_restore = False
    body_encoding = None

    def __init__(self, connection: "MemoryTransport", **options: Any) -> None:
        super().__init__(connection, **options)
        self.broker = connection.broker
        self._unacknowledged: dict[str, tuple[str, RawMessage]] = {}

    def prepare_message(
        self, body: Any, priority: Any = None, content_type: str | None = None, *rest: Any, **options: Any
    ) -> RawMessage:
        """Prepare a message with its content type among the properties, where Nameko looks for it."""
        message: RawMessage = super().prepare_message(body, priority, content_type, *rest, **options)
        message["properties"]["content_type"] = content_type
        return message

    def basic_publish(
        self,
        message: RawMessage,
        exchange: str,
        routing_key: str,
        mandatory: bool = False,
        **_: Any,
    ) -> None:
        """Publish to every queue that the exchange routes to.

        Raises ChannelError when mandatory and there is none.
        """
        self._inplace_augment_message(message, exchange, routing_key)
        queues = self.broker.route(exchange, routing_key, self._lookup)
        if mandatory and not queues:
            raise ChannelError(f"NO_ROUTE: no queue hears {routing_key!r} on {exchange!r}")
        for queue in queues:
            self.broker.put(queue, message)

    def queue_declare(self, queue: str | None = None, passive: bool = False, **options: Any) -> Any:
        """Declare a queue; an exclusive one goes with this channel."""
        self._exclusive = self if options.get("exclusive") else None
        return super().queue_declare(queue, passive, **options)

    def basic_qos(self, *_: Any, **__: Any) -> None:
        """Ignore the prefetch: Nameko's worker pool bounds what runs at once."""

    def basic_consume(self, queue: str, no_ack: bool, callback: Any, consumer_tag: str, **_: Any) -> None:
        """Consume, remembering what was delivered until it is acknowledged."""

        def deliver(raw: RawMessage) -> Any:
            message = self.Message(raw, channel=self)
            if no_ack:
                self.broker.settle(raw)
            else:
                self._unacknowledged[message.delivery_tag] = (queue, raw)
            return callback(message)

        self._tag_to_queue[consumer_tag] = queue
        self._active_queues.append(queue)
        self.connection.deliver_by(queue, deliver)
        self._consumers.add(consumer_tag)
        self._reset_cycle()
        self.broker.queues[queue].listeners.append(self.connection)
        self.connection.wake()

    def basic_cancel(self, consumer_tag: str) -> None:
        """Stop consuming; what was delivered can still be acknowledged."""
        queue = self.broker.queues.get(self._tag_to_queue.get(consumer_tag, ""))
        if queue is not None and self.connection in queue.listeners:
            queue.listeners.remove(self.connection)
        super().basic_cancel(consumer_tag)

    def basic_ack(self, delivery_tag: str, multiple: bool = False) -> None:
        """Acknowledge one message."""
        _, message = self._unacknowledged.pop(delivery_tag)
        self.broker.settle(message)

    def basic_reject(self, delivery_tag: str, requeue: bool = False) -> None:
        """Return one message to its queue, or drop it."""
        queue, message = self._unacknowledged.pop(delivery_tag)
        if requeue:
            self.broker.put_back(queue, message)
        else:
            self.broker.settle(message)

    def close(self) -> None:
        """Close: exclusive queues go, unacknowledged messages return to their queues in order."""
        if not self.closed:
            for queue, message in reversed(self._unacknowledged.values()):
                self.broker.put_back(queue, message)
            self._unacknowledged.clear()
        super().close()
        for name in [queue.name for queue in self.broker.queues.values() if queue.exclusive_to is self]:
            self.broker.delete(name)

    def _new_queue(self, queue: str, arguments: dict[str, Any] | None = None, **_: Any) -> None:
        self.broker.declare(queue, arguments, self._exclusive)

    def _has_queue(self, queue: str, **_: Any) -> bool:
        return queue in self.broker.queues

    def _get(self, queue: str, timeout: float | None = None) -> RawMessage:
        return self.broker.get(queue)

    def _size(self, queue: str) -> int:
        found = self.broker.queues.get(queue)
        return len(found.messages) if found else 0

    def _purge(self, queue: str) -> int:
        found = self.broker.queues.get(queue)
        messages = list(found.messages) if found else []
        if found:
            found.messages.clear()
        for message in messages:
            self.broker.settle(message)
        return len(messages)

    def _delete(self, queue: str, *_: Any, **__: Any) -> None:
        self.broker.delete(queue)


class MemoryTransport(virtual.Transport):
    """The connection of one client to an in-process bus."""

    Channel = MemoryChannel
    driver_type = "memory"
    driver_name = MEMORY_SCHEME

    def __init__(self, client: Any, **options: Any) -> None:
        super().__init__(client, **options)
        self.broker = broker_named(client.hostname)
        self.state = self.broker.state
        self._woken = Event()

    def deliver_by(self, queue: str, deliver: Callable[[RawMessage], Any]) -> None:
        """Hand the messages of this queue to `deliver`."""
        self._callbacks[queue] = deliver

    def wake(self) -> None:
        """Make a waiting drain_events look again."""
        if not self._woken.ready():
            self._woken.send()

    def drain_events(self, connection: Any, timeout: float | None = None) -> None:
        """Deliver one message, waiting for it at most `timeout` seconds.

        Raises socket.timeout without one.
        """
        began = monotonic()
        while True:
            if self._woken.ready():
                self._woken.reset()
            try:
                self.cycle.get(self._deliver)
            except virtual.base.Empty:
                left = began + self.broker.patience(timeout) - monotonic()
                if left <= 0:
                    raise TimeoutError("no message in time") from None
                self._woken.wait(None if left == math.inf else left)
            else:
                return

    def driver_version(self) -> str:
        """Return the version that kombu asks every driver for."""
        return "1"
