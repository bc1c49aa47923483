"""What the embedded platform's server cannot read as a request is answered as every other error."""

import json
from collections.abc import Callable, Iterable, Iterator
from email import message_from_string
from typing import Any

import eventlet
import pytest
from eventlet.green import socket

from services.chassis.wsgi import serve
from services.gateway.unreadable import answer_of
from tests.chain import free_port

PATIENCE = 60.0


def hello(environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
    """Answer a request."""
    start_response("200 OK", [("Content-Type", "text/plain")])
    return [b"hello"]


@pytest.fixture
def port() -> Iterator[int]:
    """Run the server in this process, on greenlets, and return its port."""
    port = free_port()
    server = eventlet.spawn(serve, hello, host="127.0.0.1", port=port, unreadable=answer_of)
    eventlet.sleep(0)
    yield port
    server.kill()


def exchange(port: int, sent: bytes) -> tuple[str, str]:
    """Send bytes; return the answer's head and body, which ends with the connection."""
    with eventlet.Timeout(PATIENCE):
        line = socket.create_connection(("127.0.0.1", port))
        line.sendall(sent)
        answer = b"".join(iter(lambda: line.recv(4096), b"")).decode()
        line.close()
    head, _, body = answer.partition("\r\n\r\n")
    return head, body


@pytest.mark.parametrize(
    ("sent", "status", "code"),
    [
        (b"nonsense\r\n\r\n", 400, "bad_request"),
        (b'GET "a\\b" c HTTP/1.1\r\nHost: x\r\n\r\n', 400, "bad_request"),
        (b"GET / HTTP/9.9\r\nHost: x\r\n\r\n", 505, "http_version_not_supported"),
        (b"GET / HTTP/1.1\r\n" + b"X: y\r\n" * 200 + b"\r\n", 431, "request_header_fields_too_large"),
    ],
    ids=["no request line", "quotes", "no version", "many headers"],
)
def test_what_is_no_request_is_told_so_in_problem_json(
    port: int, sent: bytes, status: int, code: str
) -> None:
    head, body = exchange(port, sent)
    first, _, headers = head.partition("\r\n")
    assert first.startswith(f"HTTP/1.1 {status} ")
    problem = json.loads(body)
    assert (problem["status"], problem["code"]) == (status, code)
    assert problem["detail"]
    told = message_from_string(headers)
    assert told["Content-Type"] == "application/problem+json"
    assert told["Connection"] == "close"
    # The server goes on: whoever comes after it is served.
    assert exchange(port, b"GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")[1] == "hello"
