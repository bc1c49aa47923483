"""What we assume of kombu, and why the in-process bus is a transport of our own."""

import os
import uuid

import pytest
from amqp.exceptions import NoConsumers
from kombu import Connection, Exchange, Producer, Queue
from kombu.exceptions import ChannelError
from kombu.mixins import ConsumerMixin

from services.chassis.bus import connect


class TestMemoryTransport:
    """kombu's own ``memory://``."""

    def test_leaves_the_content_type_out_of_a_messages_properties(self) -> None:
        with Connection("memory://") as connection:
            queue = Queue(uuid.uuid4().hex, Exchange(uuid.uuid4().hex), routing_key="a")
            Producer(connection.channel()).publish(
                {}, exchange=queue.exchange, routing_key="a", declare=[queue]
            )
            message = queue(connection.channel()).get()
        assert "content_type" not in message.properties, "Nameko answers a call by that property"

    def test_swallows_a_mandatory_message_that_nobody_hears(self) -> None:
        with Connection("memory://") as connection:
            exchange = Exchange(uuid.uuid4().hex, type="topic")
            Producer(connection.channel()).publish(
                {}, exchange=exchange, routing_key="a", declare=[exchange], mandatory=True
            )

    def test_stops_delivering_at_the_prefetch_of_the_whole_channel(self) -> None:
        with Connection("memory://") as connection:
            channel = connection.channel()
            channel.basic_qos(0, 1, False)  # noqa: FBT003 - kombu's signature
            assert channel.qos.can_consume()
            channel.qos.append(object(), "tag")
            assert not channel.qos.can_consume(), "nested calls would wait for ever"


class TestConsumerMixin:
    """The loop that Nameko reads its queues with."""

    def test_counts_a_timeout_as_silence(self) -> None:
        class Once(ConsumerMixin):  # type: ignore[misc]
            """Reads until the first silence."""

            connection = connect(f"hireling-memory://{uuid.uuid4().hex}")
            iterations = 0

            def get_consumers(self, consumer_class: type, channel: object) -> list[object]:
                return [consumer_class(queues=[Queue("silent")], callbacks=[])]

            def on_iteration(self) -> None:
                self.iterations += 1
                self.should_stop = self.iterations == 2

        reader = Once()
        list(reader.consume(limit=None, safety_interval=0.01))
        assert reader.iterations == 2


@pytest.mark.stack
class TestRabbitMq:
    """RabbitMQ through amqp."""

    def test_raises_no_route_and_leaves_the_confirm_for_the_next_message(self) -> None:
        with connect(os.environ["STACK_AMQP_URI"]) as connection:
            channel = connection.channel()
            exchange = Exchange(
                f"assumption-{uuid.uuid4().hex}", type="topic", auto_delete=True, durable=False
            )
            producer = Producer(channel)
            with pytest.raises((ChannelError, NoConsumers), match="NO_ROUTE"):
                producer.publish({}, exchange=exchange, routing_key="a", declare=[exchange], mandatory=True)
            confirms: list[int] = []
            channel.events["basic_ack"].add(lambda tag, _multiple: confirms.append(tag))
            queue = Queue(f"assumption-{uuid.uuid4().hex}", exchange, routing_key="a", exclusive=True)
            queue(channel).declare()
            producer.publish({}, exchange=exchange, routing_key="a", mandatory=True)
            assert confirms[0] == 1, "the second message was confirmed by the first one's confirm"
