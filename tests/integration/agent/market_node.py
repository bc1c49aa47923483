"""The chain of the marketplace in one object: a node that knows its token and its escrow."""

import itertools
import json
from collections.abc import Callable
from datetime import UTC, datetime

import httpx

from hireling.escrow_slots import RENTALS
from hireling.rental.escrow_math import Status
from hireling.rental.states import State
from hireling.rental.typed_data import Domain, to_hex
from hireling.renter.wallet import EIP712_DOMAIN
from tests.integration.agent.market_rows import Rental

CHAIN_ID = 31337
ESCROW, REGISTRY, TOKEN = (bytes([number]) * 20 for number in (0x11, 0x12, 0x22))
DOMAIN = Domain(chain_id=CHAIN_ID, escrow=ESCROW)


def _text(value: str) -> bytes:
    return len(value).to_bytes(32) + value.encode().ljust(32, b"\0")


TOKEN_DOMAIN = b"".join(
    (
        b"\x0f".ljust(32, b"\0"), (224).to_bytes(32), (288).to_bytes(32), CHAIN_ID.to_bytes(32),
        TOKEN.rjust(32, b"\0"), bytes(32), (352).to_bytes(32), _text("Test Dollar"), _text("1"), bytes(32),
    )
)  # fmt: skip


class Node:
    """A chain on which a block comes with every question."""

    def __init__(self, opened: Callable[[str], Rental | None]) -> None:
        """`opened` finds the rental that the chain has, by its id."""
        self._opened = opened
        self._blocks = itertools.count(100)
        self.stands_still_since: datetime | None = None

    def answer(self, request: httpx.Request) -> httpx.Response:
        """Answer one call of JSON-RPC."""
        call = json.loads(request.content)
        results: dict[str, Callable[[], str | dict[str, str]]] = {
            "eth_chainId": lambda: hex(CHAIN_ID),
            "eth_blockNumber": lambda: hex(next(self._blocks)),
            "eth_getBlockByNumber": lambda: {"timestamp": hex(self._time())},
            "eth_call": lambda: to_hex(self._view(bytes.fromhex(call["params"][0]["data"][2:]))),
        }
        return httpx.Response(200, json={"jsonrpc": "2.0", "id": 1, "result": results[call["method"]]()})

    def _time(self) -> int:
        return int((self.stands_still_since or datetime.now(UTC)).timestamp())

    def _view(self, data: bytes) -> bytes:
        if data[:4] == EIP712_DOMAIN:
            return TOKEN_DOMAIN
        assert data[:4] == RENTALS
        rental = self._opened(to_hex(data[4:]))
        if rental is None or rental.state in {State.AGREED, State.EXPIRED}:
            return bytes(5 * 32)
        status = Status.DONE if rental.state is State.SETTLED else Status.OPEN
        return b"".join(number.to_bytes(32) for number in (0, 0, 0, 10_000, status))
