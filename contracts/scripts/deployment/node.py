"""One Ethereum node, by plain JSON-RPC with a timeout on every call."""

import itertools
from typing import Any
from urllib.parse import urlsplit

import requests

from deployment.errors import Refused

CALL_SECONDS = 15


class NodeError(Exception):
    """The node answered with an error; the message is its own.

    ``data`` is what a call reverted with, where the node tells.
    """

    def __init__(self, message: str, data: bytes = b"") -> None:
        super().__init__(message)
        self.data = data


class Node:
    """Asks one node. Its URL may carry a provider's key, so only the host is ever shown."""

    def __init__(self, url: str) -> None:
        self.url = url
        self._ids = itertools.count(1)
        self._session = requests.Session()

    def __str__(self) -> str:
        return str(urlsplit(self.url).hostname)

    def ask(self, method: str, *params: Any) -> Any:
        """Return the node's answer. Raises NodeError, and Refused where no node answers."""
        body = {"jsonrpc": "2.0", "id": next(self._ids), "method": method, "params": list(params)}
        try:
            response = self._session.post(self.url, json=body, timeout=CALL_SECONDS)
            answer = response.json()
        except requests.RequestException as error:
            # The exception's own text holds the URL.
            raise Refused(f"no answer from the node at {self}: {type(error).__name__}") from None
        if not isinstance(answer, dict) or ("result" not in answer and "error" not in answer):
            raise Refused(f"the node at {self} does not speak JSON-RPC (HTTP {response.status_code})")
        if answer.get("error"):
            problem = answer["error"]
            text = problem.get("message", problem) if isinstance(problem, dict) else problem
            raise NodeError(f"{method}: {text}", _revert_data(problem))
        return answer["result"]

    def number(self, method: str, *params: Any) -> int:
        """Return an answer that is a quantity."""
        return int(self.ask(method, *params), 16)

    def chain_id(self) -> int:
        """Return the chain that the node serves."""
        return self.number("eth_chainId")

    def height(self) -> int:
        """Return the newest block's number."""
        return self.number("eth_blockNumber")

    def code(self, address: str, block: int | None = None) -> bytes:
        """Return the code at an address, now or at an earlier block, which not every node remembers."""
        at = "latest" if block is None else hex(block)
        return bytes.fromhex(self.ask("eth_getCode", address, at)[2:])

    def execute(self, code: bytes) -> bytes:
        """Return what a piece of code returns when it is run as a contract's creation; nothing is sent."""
        return bytes.fromhex(self.ask("eth_call", {"data": "0x" + code.hex()}, "latest")[2:])

    def call(self, address: str, payload: bytes) -> bytes:
        """Return what a contract answers; nothing is sent."""
        return bytes.fromhex(self.ask("eth_call", {"to": address, "data": "0x" + payload.hex()}, "latest")[2:])

    def call_as(self, address: str, code: bytes) -> bytes:
        """Return what a piece of code returns when it is run as that of an address with empty storage; nothing is sent."""
        stand_in = {address: {"code": "0x" + code.hex(), "state": {}}}
        return bytes.fromhex(self.ask("eth_call", {"to": address}, "latest", stand_in)[2:])


def _revert_data(problem: Any) -> bytes:
    data = problem.get("data") if isinstance(problem, dict) else None
    return bytes.fromhex(data[2:]) if isinstance(data, str) and data.startswith("0x") else b""
