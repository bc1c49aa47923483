"""A chain behind a door that listens: every call and transaction that comes through is traced for marks.

Those that revert are traced too.
"""

import json
import re
import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from http.client import HTTPConnection
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import urlsplit

from points import GROUP_HEX, MASK_HEX, PREFIX

MARK = re.compile(rb'"to"\s*:\s*"0x%b([0-9a-f]{%d})([0-9a-f]{%d})"' % (PREFIX.encode(), GROUP_HEX, MASK_HEX))
# The chain answers an empty trace of another kind until a transaction is in a block.
CALL_TRACE = re.compile(rb'"result"\s*:\s*{\s*"from"')
TRACER = {"tracer": "callTracer"}
CALLS = {"eth_call", "eth_estimateGas"}
SENDS = {"eth_sendTransaction", "eth_sendRawTransaction"}
ANSWER_SECONDS = 120
MINED_SECONDS = 20
HEAD_BYTES = 60

Json = dict[str, Any]


class Reached:
    """How often each point was reached, by group and bit."""

    def __init__(self) -> None:
        self._times: Counter[tuple[int, int]] = Counter()

    def times(self, group: int, bit: int) -> int:
        return self._times[group, bit]

    def read(self, trace: bytes) -> None:
        for group, mask in MARK.findall(trace):
            bits = int(mask, 16)
            for bit in range(bits.bit_length()):
                if bits >> bit & 1:
                    self._times[int(group, 16), bit] += 1


class Recorder:
    """Passes requests on to a chain, one at a time: a trace must see the chain as the call saw it."""

    def __init__(self, chain: str) -> None:
        self.reached = Reached()
        self._connection = HTTPConnection(urlsplit(chain).netloc, timeout=ANSWER_SECONDS)
        self._turn = threading.Lock()

    def close(self) -> None:
        self._connection.close()

    def answer(self, body: bytes) -> bytes:
        request = json.loads(body)
        with self._turn:
            if isinstance(request, list):
                return b"[" + b",".join(self._answer_one(each) for each in request) + b"]"
            return self._answer_one(request)

    def _answer_one(self, request: Json) -> bytes:
        answer = self._ask(request)
        if request["method"] in CALLS:
            self._trace_call(request["params"], refused=b'"error"' in answer)
        elif request["method"] in SENDS:
            sent = json.loads(answer)
            if "result" in sent:
                self._trace_transaction(sent["result"])
        return answer

    def _trace_call(self, params: list[Any], *, refused: bool) -> None:
        block = params[1] if len(params) > 1 else "latest"
        trace = self._ask(_request("debug_traceCall", params[0], block, TRACER))
        # A call that never began, for want of money say, reached nothing.
        if not _is_trace(trace) and not refused:
            raise RuntimeError(f"a call was answered but not traced: {trace[:300].decode()}")
        self.reached.read(trace)

    def _trace_transaction(self, transaction: str) -> None:
        """Wait until it is in a block; the chain answers a moment before it is."""
        deadline = time.monotonic() + MINED_SECONDS
        while not _is_trace(trace := self._ask(_request("debug_traceTransaction", transaction, TRACER))):
            if time.monotonic() > deadline:
                raise TimeoutError(
                    f"{transaction} was not traced within {MINED_SECONDS} s: {trace[:300].decode()}"
                )
            time.sleep(0.002)
        self.reached.read(trace)

    def _ask(self, request: Json) -> bytes:
        self._connection.request("POST", "/", json.dumps(request), {"Content-Type": "application/json"})
        return self._connection.getresponse().read()


def _is_trace(answer: bytes) -> bool:
    # Traces are long, and a failure among their frames is none of the answer's.
    return CALL_TRACE.search(answer, 0, HEAD_BYTES) is not None


def _request(method: str, *params: Any) -> Json:
    return {"jsonrpc": "2.0", "id": 1, "method": method, "params": list(params)}


@contextmanager
def recording(chain: str, *, port: int = 0) -> Iterator[tuple[Recorder, str]]:
    """Listen on a port before a chain while the block lasts.

    Gives the recorder, and the address to ask instead of the chain's.
    """
    recorder = Recorder(chain)

    class Door(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        disable_nagle_algorithm = True

        def do_POST(self) -> None:
            answer = recorder.answer(self.rfile.read(int(self.headers["Content-Length"])))
            self.send_response(200)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(answer)))
            self.end_headers()
            self.wfile.write(answer)

        def log_message(self, *_: Any) -> None:
            """Say nothing of each request."""

    with ThreadingHTTPServer(("127.0.0.1", port), Door) as server:
        # Who asks has left by the end, so that no thread is left to wait for.
        server.daemon_threads = False
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        try:
            yield recorder, f"http://127.0.0.1:{server.server_port}"
        finally:
            server.shutdown()
            recorder.close()
