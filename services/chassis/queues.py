"""The bus as an operator sees it: how much waits in a queue, what was parked and why, and back with it.

For RabbitMQ alone: the in-process bus lives and ends with its services, whose outboxes publish again whatever
nobody has taken.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from kombu import Connection, Exchange, Queue
from kombu.exceptions import ChannelError, OperationalError

from services.chassis.bus import connect
from services.chassis.parking import PARKED, REASON_HEADER, TRIES_HEADER
from services.chassis.publishing import ConfirmedPublisher, Unroutable
from services.messages.errors import NotFound, OperatorError, Unavailable

# A queue's own name is its routing key on the exchange without a name.
DIRECT = Exchange("", type="direct")
# RabbitMQ writes why and how often a message moved on into these; both begin anew.
_OURS = (TRIES_HEADER, REASON_HEADER)


@dataclass(frozen=True)
class QueueDepth:
    """A queue, how many messages wait in it, and how many consumers take from it."""

    name: str
    messages: int
    consumers: int


@dataclass(frozen=True)
class ParkedMessage:
    """An event that a handler failed at for good, how often, and the last reason."""

    body: Any
    tries: int
    reason: str


def parked_queue(queue: str) -> str:
    """Return where the messages are that a queue's handler failed at."""
    return f"{queue}{PARKED}"


class QueueDesk:
    """Looks at queues and moves what was parked, over a connection for each question."""

    def __init__(self, amqp_uri: str) -> None:
        self._uri = amqp_uri

    def depths(self, queues: Sequence[str]) -> list[QueueDepth]:
        """Return the depth of each of these queues that exists."""
        with self._connection() as connection:
            return [found for name in queues if (found := _depth(connection, name)) is not None]

    def parked(self, queue: str, *, limit: int) -> list[ParkedMessage]:
        """Return up to `limit` messages that the queue's handler failed at, oldest first; they stay there.

        Raises NotFound where nothing was ever parked of it.
        """
        with self._connection() as connection:
            taken = list(_taken(connection, parked_queue(queue), limit=limit))
            found = [
                ParkedMessage(
                    body=message.decode(),
                    tries=int(message.headers.get(TRIES_HEADER, 0)),
                    reason=str(message.headers.get(REASON_HEADER, "")),
                )
                for message in taken
            ]
            for message in reversed(taken):
                message.requeue()
            return found

    def replay(self, queue: str, *, limit: int) -> int:
        """Hand up to `limit` parked messages to the handler again, with all its tries; return how many.

        Each leaves the parking only once the queue has it, so a crash repeats one, and loses none.

        Raises NotFound where nothing was ever parked of it, or the queue itself is gone.
        """
        publisher, moved = ConfirmedPublisher(self._uri), 0
        try:
            with self._connection() as connection:
                for message in _taken(connection, parked_queue(queue), limit=limit):
                    headers = {name: value for name, value in message.headers.items() if name not in _OURS}
                    publisher.publish(message.decode(), exchange=DIRECT, routing_key=queue, headers=headers)
                    message.ack()
                    moved += 1
        except Unroutable as error:
            raise NotFound("no_such_queue", f"there is no queue {queue} to replay to", queue=queue) from error
        finally:
            publisher.drop()
        return moved

    @contextmanager
    def _connection(self) -> Iterator[Connection]:
        try:
            connection = connect(self._uri)
        except (OperationalError, OSError) as error:
            raise Unavailable("broker_unreachable", f"cannot reach the message broker: {error}") from error
        try:
            with connection:
                yield connection
        except connection.connection_errors as error:
            raise Unavailable("broker_unreachable", f"lost the message broker: {error}") from error


def require_shared(amqp_uri: str, *, is_memory: bool) -> QueueDesk:
    """Return a desk. Raises OperatorError for a bus that lives in another process's memory."""
    if is_memory:
        raise OperatorError(
            "bus_in_memory",
            "the embedded marketplace keeps its bus in its own memory: set HIRELING_AMQP_URI to the stack's",
        )
    return QueueDesk(amqp_uri)


def _depth(connection: Connection, name: str) -> QueueDepth | None:
    try:
        with connection.channel() as channel:
            found = channel.queue_declare(queue=name, passive=True)
    except ChannelError:
        return None  # the broker knows no such queue, and closed the channel
    return QueueDepth(name=name, messages=found.message_count, consumers=found.consumer_count)


def _taken(connection: Connection, queue: str, *, limit: int) -> Iterator[Any]:
    """Take up to `limit` of the messages that are there now, one by one."""
    depth = _depth(connection, queue)
    if depth is None:
        raise NotFound("nothing_parked", f"nothing was ever parked in {queue}", queue=queue)
    door = Queue(queue)(connection.channel())
    for _ in range(min(limit, depth.messages)):
        message = door.get(no_ack=False)
        if message is None:
            return
        yield message
