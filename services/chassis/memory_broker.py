"""The broker inside the process: queues, routing, what is under way, and when it is settled.

It belongs to one eventlet hub, thus to one thread.
"""

import math
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from time import monotonic
from typing import Any, Protocol

import eventlet
from kombu.transport import virtual
from kombu.utils.uuid import uuid

STOPPING_PATIENCE_SECONDS = 0.02

SETTLEMENT_HEADER = "hireling-settlement"

RawMessage = dict[str, Any]


class Wakeable(Protocol):
    """A consumer that may be waiting for messages."""

    def wake(self) -> None:
        """Make it look again."""


@dataclass
class MemoryQueue:
    """A queue: its messages, its arguments, and whoever waits for a message."""

    name: str
    arguments: dict[str, Any]
    exclusive_to: object | None = None
    messages: deque[RawMessage] = field(default_factory=deque)
    listeners: list[Wakeable] = field(default_factory=list)


class MemoryBroker:
    """The queues of one bus, and what is still under way."""

    def __init__(self) -> None:
        self.state = virtual.BrokerState()
        self.queues: dict[str, MemoryQueue] = {}
        self._copies_under_way: dict[str, int] = {}
        self._settled: dict[str, Callable[[], None]] = {}
        self._patience = math.inf

    def when_settled(self, tag: str, callback: Callable[[], None]) -> None:
        """Call `callback` once no copy of the messages tagged with `tag` is queued or unacknowledged.

        That may be now.
        """
        if tag in self._copies_under_way:
            self._settled[tag] = callback
        else:
            callback()

    def shorten_waits(self) -> None:
        """Let no consumer wait long for messages any more: it could not be told to stop meanwhile."""
        self._patience = STOPPING_PATIENCE_SECONDS
        for queue in self.queues.values():
            self._wake(queue)

    def lengthen_waits(self) -> None:
        """Let consumers wait for messages as long as they like."""
        self._patience = math.inf

    def patience(self, wanted: float | None) -> float:
        """Return how many seconds a consumer that wants to wait so long may wait."""
        return min(math.inf if wanted is None else wanted, self._patience)

    def declare(self, name: str, arguments: dict[str, Any] | None, exclusive_to: object | None) -> None:
        """Create the queue unless it is there."""
        self.queues.setdefault(name, MemoryQueue(name, arguments or {}, exclusive_to))

    def delete(self, name: str) -> None:
        """Delete the queue with everything in it."""
        queue = self.queues.pop(name, None)
        for message in queue.messages if queue else ():
            self.settle(message)

    def put(self, queue: MemoryQueue, message: RawMessage) -> None:
        """Append a copy of the message, and wake whoever consumes the queue."""
        copy = {**message, "properties": {**message["properties"], "delivery_tag": uuid()}}
        expiration = copy["properties"].get("expiration")
        if expiration is not None:
            copy["expires_at"] = monotonic() + int(expiration) / 1000
        tag = copy["headers"].get(SETTLEMENT_HEADER)
        if tag is not None:
            self._copies_under_way[tag] = self._copies_under_way.get(tag, 0) + 1
        queue.messages.append(copy)
        self._wake(queue)
        ttl = queue.arguments.get("x-message-ttl")
        if ttl is not None:
            eventlet.spawn_after(ttl / 1000, self._dead_letter, queue, copy)

    def put_back(self, queue_name: str, message: RawMessage) -> None:
        """Return an unacknowledged message to the head of its queue."""
        queue = self.queues.get(queue_name)
        if queue is None:
            self.settle(message)
            return
        queue.messages.appendleft({**message, "redelivered": True})
        self._wake(queue)

    def get(self, queue_name: str) -> RawMessage:
        """Take the next message that has not expired. Raises virtual.Empty without one."""
        queue = self.queues.get(queue_name)
        while queue is not None and queue.messages:
            message = queue.messages.popleft()
            if message.get("expires_at", math.inf) > monotonic():
                return message
            self.settle(message)
        raise virtual.base.Empty

    def settle(self, message: RawMessage) -> None:
        """Count one copy less of a tagged message under way; the last one reports."""
        tag = message["headers"].get(SETTLEMENT_HEADER)
        if tag is None:
            return
        self._copies_under_way[tag] -= 1
        if self._copies_under_way[tag] == 0:
            del self._copies_under_way[tag]
            callback = self._settled.pop(tag, None)
            if callback is not None:
                callback()

    def route(
        self, exchange: str, routing_key: str, lookup: Callable[[str, str], list[str]]
    ) -> list[MemoryQueue]:
        """Return the existing queues that a message to this exchange reaches, each once."""
        names = [routing_key] if not exchange else dict.fromkeys(lookup(exchange, routing_key))
        return [self.queues[name] for name in names if name in self.queues]

    def _dead_letter(self, queue: MemoryQueue, message: RawMessage) -> None:
        position = next((place for place, queued in enumerate(queue.messages) if queued is message), None)
        if position is None:
            return
        del queue.messages[position]
        original_key = message["properties"]["delivery_info"]["routing_key"]
        target = self.queues.get(queue.arguments.get("x-dead-letter-routing-key", original_key))
        if target is not None:
            self.put(target, message)
        self.settle(message)

    def _wake(self, queue: MemoryQueue) -> None:
        for transport in queue.listeners:
            transport.wake()


_BROKERS: dict[str, MemoryBroker] = {}


def memory_broker(amqp_uri: str) -> MemoryBroker:
    """Return the broker behind a ``hireling-memory://name`` address, the same one every time."""
    return broker_named(amqp_uri.partition("://")[2].strip("/"))


def broker_named(name: str | None) -> MemoryBroker:
    """Return the broker of this name; without one, the process's own."""
    # A clone of a kombu connection without a host is one to localhost.
    return _BROKERS.setdefault(name or "localhost", MemoryBroker())
