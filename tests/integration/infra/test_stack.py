"""The stack's servers can be killed and started again by name, and keep what they promised to keep."""

import os
import socket
from urllib.parse import urlsplit

import kombu
import psycopg
import pytest

from tests import stack

pytestmark = pytest.mark.stack


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
