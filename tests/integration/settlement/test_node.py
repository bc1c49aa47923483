"""What a node may answer to several questions at once."""

import json
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest

from services.settlement.escrow.node import Call, ChainUnreachable, Node, NodeRefused, Reverted

BAD_REQUEST: dict[str, str] = {"message": "one object, please"}
CALLS = [Call(to=bytes(20), data=bytes([number])) for number in range(3)]


@contextmanager
def node_that(answer: Callable[[Any], Any]) -> Iterator[Node]:
    """Run a node that answers each body so; yield our door to it."""

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            found = answer(body)
            told = json.dumps(found).encode()
            self.send_response(400 if found is BAD_REQUEST else 200)
            self.send_header("Content-Length", str(len(told)))
            self.end_headers()
            self.wfile.write(told)

        def log_message(self, format: str, *arguments: Any) -> None:  # noqa: A002 - the base names it so
            """Say nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    serving = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    serving.start()
    try:
        yield Node(f"http://127.0.0.1:{server.server_port}", seconds=5)
    finally:
        server.shutdown()
        server.server_close()
        serving.join()


def refused(body: Any) -> Any:
    """Answer single questions, and refuse a batch as a whole."""
    return {"id": None, "error": {"message": "no batches"}} if isinstance(body, list) else echoed(body)


def echoed(question: dict[str, Any]) -> dict[str, Any]:
    """Answer a call with its own data."""
    return {"jsonrpc": "2.0", "id": question["id"], "result": question["params"][0]["data"]}


def test_answers_are_told_apart_by_their_numbers() -> None:
    with node_that(lambda body: [echoed(question) for question in reversed(body)]) as node:
        assert node.read_all(CALLS) == [call.data for call in CALLS]


def test_a_revert_among_them_is_one() -> None:
    revert = {"code": 3, "message": "execution reverted: no"}

    def answer(body: Any) -> Any:
        return [echoed(body[0]), {"id": body[1]["id"], "error": revert}, echoed(body[2])]

    with node_that(answer) as node, pytest.raises(Reverted, match="execution reverted: no"):
        node.read_all(CALLS)


@pytest.mark.parametrize(
    ("answer", "error", "words"),
    [
        (lambda body: [echoed(question) for question in body[:2]], ChainUnreachable, "not an object"),
        (lambda body: ["?"], ChainUnreachable, "not an object"),
        (lambda body: None, ChainUnreachable, "not an object"),
        (lambda body: {"id": None, "error": {"message": "not today"}}, NodeRefused, "not today"),
    ],
)
def test_what_is_no_answer_is_none(answer: Callable[[Any], Any], error: type[Exception], words: str) -> None:
    with node_that(answer) as node, pytest.raises(error, match=words):
        node.read_all(CALLS)


@pytest.mark.parametrize(
    "answer", [refused, lambda body: BAD_REQUEST if isinstance(body, list) else echoed(body)]
)
def test_a_node_that_takes_no_batches_is_asked_one_by_one(answer: Callable[[Any], Any]) -> None:
    asked: list[Any] = []

    def noted(body: Any) -> Any:
        asked.append(body)
        return answer(body)

    with node_that(noted) as node:
        assert node.read_all(CALLS) == [call.data for call in CALLS]
        assert node.read_all(CALLS) == [call.data for call in CALLS]
    # It is offered a batch once.
    assert [isinstance(body, list) for body in asked] == [True] + [False] * 6
