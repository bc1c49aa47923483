"""The stack's servers can be killed and started again by name, and keep what they promised to keep."""

import os
import socket
from concurrent.futures import ThreadPoolExecutor
from urllib.parse import urlsplit

import kombu
import psycopg
import pytest

from services.chassis.publishing import ConfirmedPublisher
from services.messages.errors import OutcomeUnknown, Unavailable
from tests import stack

pytestmark = pytest.mark.stack

ROOM = "room-on-the-disk"
SOON, WITHIN = 0.5, 60.0  # seconds


def is_open(url: str) -> bool:
    address = urlsplit(url)
    with socket.socket() as probe:
        probe.settimeout(2)
        return probe.connect_ex((str(address.hostname), int(address.port or 0))) == 0


class TestKillAndStart:
    def test_postgres_keeps_a_committed_row(self) -> None:
        url = os.environ["STACK_POSTGRES_URL"].replace("+psycopg", "")
        with psycopg.connect(url) as connection:
            connection.execute("CREATE TABLE kept_through_kill AS SELECT 7 AS answer")
        stack.kill("postgres")
        assert not is_open(url)
        stack.start("postgres")
        with psycopg.connect(url) as connection:
            row = connection.execute("SELECT answer FROM kept_through_kill").fetchone()
            connection.execute("DROP TABLE kept_through_kill")
        assert row == (7,)

    def test_rabbitmq_keeps_a_confirmed_message(self) -> None:
        uri = os.environ["STACK_AMQP_URI"]
        with (
            kombu.Connection(uri, transport_options={"confirm_publish": True}) as connection,
            connection.SimpleQueue("kept-through-kill") as queue,
        ):
            queue.put({"answer": 7})
        stack.kill("rabbitmq")
        assert not is_open(uri)
        stack.start("rabbitmq")
        with kombu.Connection(uri) as connection, connection.SimpleQueue("kept-through-kill") as queue:
            message = queue.get(timeout=10)
            message.ack()
        assert message.payload == {"answer": 7}

    def test_mosquitto_listens_again_on_its_port(self) -> None:
        url = os.environ["STACK_MQTT_URL"]
        stack.kill("mosquitto")
        assert not is_open(url)
        stack.start("mosquitto")
        assert is_open(url)


class TestPauseAndFill:
    def test_a_paused_postgres_answers_only_when_it_goes_on(self) -> None:
        url = os.environ["STACK_POSTGRES_URL"].replace("+psycopg", "")
        with psycopg.connect(url, autocommit=True) as connection, ThreadPoolExecutor(1) as other:
            stack.pause("postgres")
            try:
                asked = other.submit(connection.execute, "SELECT 7")
                with pytest.raises(TimeoutError):
                    asked.result(SOON)
            finally:
                stack.resume("postgres")
            assert asked.result(WITHIN).fetchone() == (7,)

    def test_a_rabbitmq_without_room_confirms_only_when_it_has_some(self) -> None:
        uri = os.environ["STACK_AMQP_URI"]
        stack.fill_disk("rabbitmq")
        try:
            with pytest.raises((OutcomeUnknown, Unavailable)):
                publish_one(uri)
        finally:
            stack.empty_disk("rabbitmq")
        publish_one(uri)

    def test_a_mosquitto_without_room_goes_on(self) -> None:
        url = os.environ["STACK_MQTT_URL"]
        stack.fill_disk("mosquitto")
        try:
            assert is_open(url)
        finally:
            stack.empty_disk("mosquitto")
        assert is_open(url)


def publish_one(uri: str) -> None:
    """Publish a message to a queue of its own and wait for the confirm."""
    publisher = ConfirmedPublisher(uri)
    try:
        publisher.publish(
            {"answer": 7}, exchange=kombu.Exchange(""), routing_key=ROOM, declare=[kombu.Queue(ROOM)]
        )
    finally:
        publisher.drop()
