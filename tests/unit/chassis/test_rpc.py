"""services.chassis.rpc: a call has one of three outcomes: done, not done, unknown."""

import uuid
from collections.abc import Iterator
from typing import Any

import eventlet
import pytest
from kombu import Consumer, Queue

from services.chassis.bus import connect
from services.chassis.publishing import ConfirmedPublisher
from services.chassis.rpc import EXCHANGE, RpcClient
from services.messages.errors import OutcomeUnknown, Unavailable


class Callee:
    """Something that hears calls to ``porter`` and answers as the test says."""

    def __init__(self, uri: str) -> None:
        self.heard: list[Any] = []
        self.answers = True
        self._publisher = ConfirmedPublisher(uri)
        self._connection = connect(uri)
        self._queue = Queue("rpc-porter", EXCHANGE, routing_key="porter.*", durable=True)
        eventlet.spawn(self._serve)
        eventlet.sleep(0)

    def _serve(self) -> None:
        with Consumer(self._connection.default_channel, [self._queue], callbacks=[self._on_call]):
            while True:
                self._connection.drain_events()

    def _on_call(self, body: Any, message: Any) -> None:
        self.heard.append(body)
        message.ack()
        if self.answers:
            self._publisher.publish(
                {"result": body["args"], "error": None},
                exchange=EXCHANGE,
                routing_key=message.properties["reply_to"],
                correlation_id=message.properties["correlation_id"],
            )


@pytest.fixture
def uri() -> str:
    """A bus of the test's own."""
    return f"hireling-memory://{uuid.uuid4().hex}"


@pytest.fixture
def client(uri: str) -> Iterator[RpcClient]:
    """A client on that bus."""
    client = RpcClient(uri)
    yield client
    client.close()


class TestRpcClient:
    """The client."""

    def test_matches_replies_to_calls_at_once(self, uri: str, client: RpcClient) -> None:
        Callee(uri)
        calls = [eventlet.spawn(client.call, "porter", "echo", number, timeout=2.0) for number in range(20)]
        assert [call.wait() for call in calls] == [[number] for number in range(20)]

    def test_without_a_reply_in_time_the_outcome_is_unknown(self, uri: str, client: RpcClient) -> None:
        callee = Callee(uri)
        callee.answers = False
        with pytest.raises(OutcomeUnknown, match=r"porter\.open: no reply within 0\.05 s"):
            client.call("porter", "open", timeout=0.05)
        callee.answers = True
        assert client.call("porter", "open", "again", timeout=2.0) == ["again"]

    def test_without_a_service_nothing_was_done(self, client: RpcClient) -> None:
        with pytest.raises(Unavailable, match="no service porter is running"):
            client.call("porter", "open", timeout=2.0)

    def test_a_call_that_nobody_took_in_time_is_never_made(self, uri: str, client: RpcClient) -> None:
        with connect(uri) as connection:
            Queue("rpc-porter", EXCHANGE, routing_key="porter.*", durable=True)(
                connection.channel()
            ).declare()
            with pytest.raises(OutcomeUnknown):
                client.call("porter", "open", "stale", timeout=0.02)
        callee = Callee(uri)
        client.call("porter", "open", "fresh", timeout=2.0)
        assert [body["args"] for body in callee.heard] == [["fresh"]]

    def test_closed_while_a_call_waits_ends_the_call(self, uri: str, client: RpcClient) -> None:
        callee = Callee(uri)
        callee.answers = False
        eventlet.spawn_after(0.02, client.close)
        with pytest.raises(OutcomeUnknown, match="connection lost"):
            client.call("porter", "open", timeout=30.0)

    def test_closed_calls_nobody_any_more(self, uri: str, client: RpcClient) -> None:
        Callee(uri)
        client.close()
        with pytest.raises(Unavailable, match="closed"):
            client.call("porter", "open", timeout=2.0)
