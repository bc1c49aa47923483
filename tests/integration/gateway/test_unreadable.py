"""What gunicorn cannot read as a request is answered as every other error, over a raw socket."""

import json
import socket
from collections.abc import Iterator
from email import message_from_string
from email.message import Message
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

from services.chassis.migrations import migrate
from tests.chain import free_port
from tests.integration.metering.servers import answers, running_module, wait_until


@pytest.fixture(scope="module")
def port() -> Iterator[int]:
    """Run a gateway whose broker is nowhere, and return its port."""
    port = free_port()
    with TemporaryDirectory() as folder:
        url = f"sqlite:///{Path(folder) / 'gateway.sqlite'}"
        migrate("gateway", url=url)
        environment = {
            "HIRELING_HOME": folder,
            "HIRELING_AMQP_URI": f"amqp://127.0.0.1:{free_port()}",
            "GATEWAY_DATABASE_URL": url,
            "GATEWAY_HOST": "127.0.0.1",
            "GATEWAY_PORT": str(port),
        }
        with running_module("services.gateway", **environment):
            wait_until(lambda: answers(port))
            yield port


def exchange(port: int, sent: bytes) -> tuple[int, Message, str]:
    """Send bytes; return the answer's status, headers and body, which ends with the connection."""
    with socket.create_connection(("127.0.0.1", port), timeout=60) as line:
        line.sendall(sent)
        with line.makefile("rb") as answer:
            head, _, body = answer.read().decode().partition("\r\n\r\n")
    first, _, headers = head.partition("\r\n")
    version, status, _ = first.split(" ", 2)
    assert version == "HTTP/1.1"
    return int(status), message_from_string(headers), body


@pytest.mark.parametrize(
    ("sent", "status", "code"),
    [
        (b"nonsense\r\n\r\n", 400, "bad_request"),
        (b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n", 400, "bad_request"),
        (b"GET / HTTP/9.9\r\nHost: x\r\n\r\n", 400, "bad_request"),
        (b"GET / HTTP/1.1\r\nHost: x\r\nNo colon\r\n\r\n", 400, "bad_request"),
        (b"GET /" + b"a" * 5000 + b" HTTP/1.1\r\nHost: x\r\n\r\n", 414, "request_uri_too_long"),
        (b"GET / HTTP/1.1\r\n" + b"X: y\r\n" * 200 + b"\r\n", 431, "request_header_fields_too_large"),
        (
            b"POST /v1/devices HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: odd\r\n\r\n",
            501,
            "not_implemented",
        ),
    ],
    ids=["no request line", "TLS", "no version", "no header", "long line", "many headers", "odd coding"],
)
def test_what_is_no_request_is_told_so_in_problem_json(
    port: int, sent: bytes, status: int, code: str
) -> None:
    answered, headers, body = exchange(port, sent)
    problem = json.loads(body)
    assert (answered, problem["status"], problem["code"]) == (status, status, code)
    assert problem["detail"]
    assert headers["Content-Type"] == "application/problem+json"
    assert headers["Content-Length"] == str(len(body.encode()))
    assert headers["X-Content-Type-Options"] == "nosniff"
    assert headers["Connection"] == "close"


def test_whoever_comes_after_it_is_served(port: int) -> None:
    exchange(port, b"nonsense\r\n\r\n")
    status, headers, body = exchange(
        port, b"GET /v1/nothing HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"
    )
    assert (status, json.loads(body)["status"]) == (404, 404)
    assert headers["Content-Type"] == "application/problem+json"
