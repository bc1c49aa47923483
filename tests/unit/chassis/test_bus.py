"""services.chassis.bus: RabbitMQ's semantics in one process."""

import uuid
from collections.abc import Iterator
from time import monotonic
from typing import Any

import eventlet
import pytest
from kombu import Connection, Consumer, Exchange, Queue

from services.chassis.bus import connect
from services.chassis.memory_broker import SETTLEMENT_HEADER, memory_broker
from services.chassis.publishing import ConfirmedPublisher, Unroutable

NEWS = Exchange("news", type="topic", durable=True)


class Reader:
    """A consumer of one queue on a connection of its own; it keeps the messages it read."""

    def __init__(self, uri: str, queue: Queue, *, acknowledge: bool = True) -> None:
        self.connection: Connection = connect(uri)
        self.bodies: list[Any] = []
        self.messages: list[Any] = []
        self._acknowledge = acknowledge
        self._consumer = Consumer(self.connection.default_channel, [queue], callbacks=[self._on_message])
        self._consumer.consume()

    def _on_message(self, body: Any, message: Any) -> None:
        self.bodies.append(body)
        self.messages.append(message)
        if self._acknowledge:
            message.ack()

    def read(self, count: int) -> list[Any]:
        """Return what was read once there is so much. Raises TimeoutError after two silent seconds."""
        while len(self.bodies) < count:
            self.connection.drain_events(timeout=2.0)
        return self.bodies

    def reads_nothing_more(self) -> bool:
        """Return whether nothing waits."""
        try:
            self.connection.drain_events(timeout=0.02)
        except TimeoutError:
            return True
        return False


@pytest.fixture
def uri() -> str:
    """A bus of the test's own."""
    return f"hireling-memory://{uuid.uuid4().hex}"


@pytest.fixture
def publisher(uri: str) -> Iterator[ConfirmedPublisher]:
    """A publisher on that bus."""
    publisher = ConfirmedPublisher(uri)
    yield publisher
    publisher.drop()


def queue(name: str, routing_key: str = "weather", **arguments: Any) -> Queue:
    """A durable queue of the news."""
    return Queue(name, NEWS, routing_key=routing_key, durable=True, queue_arguments=arguments)


class TestPublish:
    """A message on its way in."""

    def test_reaches_every_queue_bound_to_its_key_once(self, uri: str, publisher: ConfirmedPublisher) -> None:
        first, second = Reader(uri, queue("first")), Reader(uri, queue("second", "#"))
        other = Reader(uri, queue("other", "sports"))
        publisher.publish({"degrees": 20}, exchange=NEWS, routing_key="weather")
        assert first.read(1) == second.read(1) == [{"degrees": 20}]
        assert other.reads_nothing_more()

    def test_raises_unroutable_where_no_queue_hears_it(self, uri: str, publisher: ConfirmedPublisher) -> None:
        with pytest.raises(Unroutable, match="no queue hears weather on news"):
            publisher.publish({}, exchange=NEWS, routing_key="weather", declare=[NEWS])
        reader = Reader(uri, queue("late"))
        publisher.publish({"again": 1}, exchange=NEWS, routing_key="weather")
        assert reader.read(1) == [{"again": 1}]

    def test_raises_unroutable_once_the_only_queue_was_deleted(
        self, uri: str, publisher: ConfirmedPublisher
    ) -> None:
        reader = Reader(uri, queue("short-lived"))
        reader.connection.default_channel.queue_delete("short-lived")
        with pytest.raises(Unroutable):
            publisher.publish({}, exchange=NEWS, routing_key="weather")

    def test_carries_the_content_type_where_nameko_looks_for_it(
        self, uri: str, publisher: ConfirmedPublisher
    ) -> None:
        reader = Reader(uri, queue("typed"))
        publisher.publish({}, exchange=NEWS, routing_key="weather")
        reader.read(1)
        assert reader.messages[0].properties["content_type"] == "application/json"

    def test_shares_no_bus_with_another_name(self, uri: str, publisher: ConfirmedPublisher) -> None:
        Reader(f"{uri}-other", queue("elsewhere"))
        with pytest.raises(Unroutable):
            publisher.publish({}, exchange=NEWS, routing_key="weather", declare=[NEWS])


class TestConsume:
    """A message on its way out."""

    def test_wakes_a_waiting_consumer_at_once(self, uri: str, publisher: ConfirmedPublisher) -> None:
        reader = Reader(uri, queue("waiting"))
        published: list[float] = []

        def publish() -> None:
            published.append(monotonic())
            publisher.publish({}, exchange=NEWS, routing_key="weather")

        eventlet.spawn_after(0.02, publish)
        reader.read(1)
        assert monotonic() - published[0] < 0.5

    def test_times_out_like_a_socket(self, uri: str) -> None:
        reader = Reader(uri, queue("silent"))
        with pytest.raises(TimeoutError):
            reader.connection.drain_events(timeout=0.01)

    def test_returns_unacknowledged_messages_in_order_when_its_connection_closes(
        self, uri: str, publisher: ConfirmedPublisher
    ) -> None:
        dying = Reader(uri, queue("work"), acknowledge=False)
        for number in range(4):
            publisher.publish(number, exchange=NEWS, routing_key="weather")
        dying.read(3)
        dying.messages[1].ack()
        dying.connection.release()
        assert Reader(uri, queue("work")).read(3) == [0, 2, 3]

    def test_returns_a_requeued_message_to_its_own_queue_only(
        self, uri: str, publisher: ConfirmedPublisher
    ) -> None:
        picky, calm = Reader(uri, queue("picky"), acknowledge=False), Reader(uri, queue("calm"))
        publisher.publish("once", exchange=NEWS, routing_key="weather")
        picky.read(1)
        picky.messages[0].requeue()
        assert picky.read(2) == ["once", "once"]
        assert calm.read(1) == ["once"]
        assert calm.reads_nothing_more()

    def test_never_delivers_an_expired_message(self, uri: str, publisher: ConfirmedPublisher) -> None:
        Reader(uri, queue("expiring")).connection.release()
        publisher.publish("stale", exchange=NEWS, routing_key="weather", expiration=0.001)
        eventlet.sleep(0.01)
        publisher.publish("fresh", exchange=NEWS, routing_key="weather", expiration=5)
        assert Reader(uri, queue("expiring")).read(1) == ["fresh"]

    def test_ignores_the_prefetch_so_that_nested_calls_end(
        self, uri: str, publisher: ConfirmedPublisher
    ) -> None:
        reader = Reader(uri, queue("nested"), acknowledge=False)
        reader.connection.default_channel.basic_qos(0, 1, False)  # noqa: FBT003 - kombu's signature
        for number in range(3):
            publisher.publish(number, exchange=NEWS, routing_key="weather")
        assert reader.read(3) == [0, 1, 2]

    def test_takes_exclusive_queues_along_when_it_closes(
        self, uri: str, publisher: ConfirmedPublisher
    ) -> None:
        reader = Reader(uri, Queue("mine", NEWS, routing_key="weather", exclusive=True))
        reader.connection.release()
        with pytest.raises(Unroutable):
            publisher.publish({}, exchange=NEWS, routing_key="weather")


class TestTimeToLive:
    """A queue in which messages wait."""

    def test_moves_its_messages_on_to_the_queue_that_their_key_names(
        self, uri: str, publisher: ConfirmedPublisher
    ) -> None:
        waiting_room = Exchange("wait", type="topic", durable=True)
        waiting = Queue(
            "wait",
            waiting_room,
            routing_key="#",
            queue_arguments={"x-message-ttl": 20, "x-dead-letter-exchange": ""},
        )
        reader = Reader(uri, queue("target"))
        publisher.publish("later", exchange=waiting_room, routing_key="target", declare=[waiting])
        assert reader.bodies == []
        assert reader.read(1) == ["later"]


class TestSettlement:
    """Messages that report when nobody has them any more."""

    @pytest.fixture
    def settled(self) -> list[str]:
        return []

    def publish(self, uri: str, publisher: ConfirmedPublisher, settled: list[str]) -> None:
        publisher.publish({}, exchange=NEWS, routing_key="weather", headers={SETTLEMENT_HEADER: "tag"})
        memory_broker(uri).when_settled("tag", lambda: settled.append("tag"))

    def test_report_when_every_queue_has_acknowledged(
        self, uri: str, publisher: ConfirmedPublisher, settled: list[str]
    ) -> None:
        first, second = Reader(uri, queue("first")), Reader(uri, queue("second"), acknowledge=False)
        self.publish(uri, publisher, settled)
        first.read(1)
        second.read(1)
        assert settled == []
        second.messages[0].ack()
        assert settled == ["tag"]

    def test_do_not_report_while_a_copy_waits_to_be_tried_again(
        self, uri: str, publisher: ConfirmedPublisher, settled: list[str]
    ) -> None:
        reader = Reader(uri, queue("first"), acknowledge=False)
        self.publish(uri, publisher, settled)
        reader.read(1)
        publisher.publish({}, exchange=NEWS, routing_key="weather", headers={SETTLEMENT_HEADER: "tag"})
        reader.messages[0].ack()
        assert settled == []
        reader.read(2)
        reader.messages[1].ack()
        assert settled == ["tag"]

    def test_do_not_report_when_a_consumer_dies(
        self, uri: str, publisher: ConfirmedPublisher, settled: list[str]
    ) -> None:
        dying = Reader(uri, queue("first"), acknowledge=False)
        self.publish(uri, publisher, settled)
        dying.read(1)
        dying.connection.release()
        assert settled == []
        Reader(uri, queue("first")).read(1)
        assert settled == ["tag"]
