"""A chain's node, asked over JSON-RPC.

Every call has a timeout, and three things may go wrong, each its own error.

ChainUnreachable: no answer; what was asked may or may not have been done. Reverted: a contract said no.
NodeRefused: the node said no.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, NoReturn
from weakref import finalize

import httpx

from hireling.rental.typed_data import from_hex, to_hex
from services.chassis.logging import get_logger
from services.settlement.escrow.abi import decoded_error

GWEI = 10**9
# What a server says of a request that it will never take.
NOT_SO = frozenset({400, 405, 413, 415, 422, 501})
# Questions in one batch: public nodes refuse more than some hundred.
MOST_AT_ONCE = 50
# A receipt's status of a transaction that did what it says. Source: EIP-658.
SUCCEEDED = "0x1"

_log = get_logger(__name__)


class ChainUnreachable(Exception):
    """The node did not answer in time, or not as a node does."""


class NodeRefused(Exception):
    """The node refused a call; the message is its own."""


class _NotSo(ChainUnreachable):
    """The node's answer was that it takes no such request."""


class Reverted(Exception):
    """A contract refused a call. ``name`` is its custom error's, ``arguments`` are the numbers."""

    def __init__(self, name: str, arguments: tuple[Any, ...] = ()) -> None:
        self.name = name
        self.arguments = arguments
        super().__init__(f"{name}({', '.join(map(_shown, arguments))})")


@dataclass(frozen=True)
class Call:
    """Calldata for a contract."""

    to: bytes
    data: bytes


@dataclass(frozen=True)
class Block:
    """A block's number, hash and Unix time, and its base fee in wei per gas."""

    number: int
    hash: bytes
    time: int
    base_fee: int


@dataclass(frozen=True)
class Receipt:
    """A mined transaction."""

    block: int
    gas_used: int
    succeeded: bool


@dataclass(frozen=True)
class RawLog:
    """A log as the node tells it."""

    contract: bytes
    block: int
    position: int
    tx_hash: bytes
    topics: tuple[bytes, ...]
    data: bytes


class Node:
    """One node; ``seconds`` bounds every call."""

    def __init__(self, url: str, *, seconds: float) -> None:
        self._url = url
        # Shared by all greenlets: each call takes a connection that is free.
        self._http = httpx.Client(timeout=seconds)
        finalize(self, self._http.close)
        self._takes_batches = True

    def chain_id(self) -> int:
        """Return the chain's id."""
        return _number(self._ask("eth_chainId"))

    def head(self) -> Block:
        """Return the newest block."""
        found = self._block("latest")
        if found is None:
            raise ChainUnreachable("the node has no newest block")
        return found

    def height(self) -> int:
        """Return the newest block's number."""
        return _number(self._ask("eth_blockNumber"))

    def block(self, number: int) -> Block | None:
        """Return a block, None where the chain has no such number (any more)."""
        return self._block(hex(number))

    def nonce(self, address: bytes, *, at: int | None = None) -> int:
        """Return how many of the address's transactions are mined, or were after block `at`.

        Raises NodeRefused where the node no longer knows that block's state.
        """
        return _number(self._ask("eth_getTransactionCount", to_hex(address), _when(at)))

    def ether(self, address: bytes) -> int:
        """Return the address's balance in wei."""
        return _number(self._ask("eth_getBalance", to_hex(address), "latest"))

    def tip(self) -> int:
        """Return the priority fee the node suggests, in wei per gas."""
        return _number(self._ask("eth_maxPriorityFeePerGas"))

    def read(self, call: Call, *, sender: bytes | None = None, at: int | None = None) -> bytes:
        """Return what the call would answer now, or after block `at`, changing nothing.

        Raises Reverted; NodeRefused where the node no longer knows that block's state.
        """
        return _bytes(self._ask("eth_call", _transaction(call, sender), _when(at)))

    def read_all(self, calls: Sequence[Call], *, at: int | None = None) -> list[bytes]:
        """Return what each call would answer now, or after block `at`, asked on one way to the node.

        Without `at` blocks may come in between: these are not of one state. Raises as `read` does.
        """
        asked = [("eth_call", (_transaction(call, None), _when(at))) for call in calls]
        parts = (asked[start : start + MOST_AT_ONCE] for start in range(0, len(asked), MOST_AT_ONCE))
        return [_bytes(answer) for part in parts for answer in self._ask_all(part)]

    def gas(self, call: Call, *, sender: bytes) -> int:
        """Return how much gas the call would need now. Raises Reverted."""
        return _number(self._ask("eth_estimateGas", _transaction(call, sender), "latest"))

    def broadcast(self, raw: bytes) -> None:
        """Hand a signed transaction to the node.

        Raises NodeRefused, ChainUnreachable (it may have arrived).
        """
        self._ask("eth_sendRawTransaction", to_hex(raw))

    def receipt(self, tx_hash: bytes) -> Receipt | None:
        """Return the receipt of a mined transaction, None where it is not mined."""
        found = self._ask("eth_getTransactionReceipt", to_hex(tx_hash))
        if found is None:
            return None
        return Receipt(
            block=_number(found["blockNumber"]),
            gas_used=_number(found["gasUsed"]),
            succeeded=found["status"] == SUCCEEDED,
        )

    def logs(self, contracts: Sequence[bytes], *, first: int, last: int) -> list[RawLog]:
        """Return the contracts' logs in the blocks first to last, both included, in the chain's order."""
        wanted = {
            "address": [to_hex(each) for each in contracts],
            "fromBlock": hex(first),
            "toBlock": hex(last),
        }
        return [
            RawLog(
                contract=_bytes(log["address"]),
                block=_number(log["blockNumber"]),
                position=_number(log["logIndex"]),
                tx_hash=_bytes(log["transactionHash"]),
                topics=tuple(_bytes(topic) for topic in log["topics"]),
                data=_bytes(log["data"]),
            )
            for log in self._ask("eth_getLogs", wanted)
        ]

    def send_from_first_account(self, to: bytes, *, wei: int) -> None:
        """Send ether from the node's own first account: a development chain's only."""
        first = self._ask("eth_accounts")[0]
        self._ask("eth_sendTransaction", {"from": first, "to": to_hex(to), "value": hex(wei)})

    def _block(self, which: str) -> Block | None:
        found = self._ask("eth_getBlockByNumber", which, False)  # noqa: FBT003 - the method's own signature
        if found is None:
            return None
        return Block(
            number=_number(found["number"]),
            hash=_bytes(found["hash"]),
            time=_number(found["timestamp"]),
            base_fee=_number(found.get("baseFeePerGas", "0x0")),
        )

    def _ask(self, method: str, *params: Any) -> Any:
        question = _question(1, method, params)
        return _result(method, self._post(method, question))

    def _ask_all(self, questions: Sequence[tuple[str, Sequence[Any]]]) -> list[Any]:
        """Ask them as one batch, as JSON-RPC 2.0 has it, or one by one where the node takes none."""
        if self._takes_batches:
            answers = self._ask_batch(questions)
            if answers is not None:
                by_number = {answer.get("id"): answer for answer in answers if isinstance(answer, dict)}
                return [
                    _result(method, by_number.get(number)) for number, (method, _) in enumerate(questions)
                ]
            self._takes_batches = False
            _log.info("node_takes_no_batches")
        return [self._ask(method, *params) for method, params in questions]

    def _ask_batch(self, questions: Sequence[tuple[str, Sequence[Any]]]) -> list[Any] | None:
        """Return the answers, in any order; None from a node that takes no batches."""
        names = " and ".join(dict.fromkeys(method for method, _ in questions))
        asked = [_question(number, *question) for number, question in enumerate(questions)]
        try:
            answers = self._post(names, asked)
        except _NotSo:
            return None
        return answers if isinstance(answers, list) else None

    def _post(self, asked_for: str, body: Any) -> Any:
        try:
            return self._http.post(self._url, json=body).raise_for_status().json()
        except httpx.HTTPStatusError as error:
            # Its own words name the address, which has a key in it at many nodes.
            status = error.response.status_code
            kind = _NotSo if status in NOT_SO else ChainUnreachable
            raise kind(f"no answer to {asked_for}: HTTP {status}") from None
        except (httpx.HTTPError, httpx.InvalidURL, ValueError) as error:
            reason = f"{type(error).__name__}: {error}"
            raise ChainUnreachable(f"no answer to {asked_for}: {reason}"[:500]) from error


def _question(number: int, method: str, params: Sequence[Any]) -> dict[str, Any]:
    return {"jsonrpc": "2.0", "id": number, "method": method, "params": params}


def _result(method: str, answer: Any) -> Any:
    if not isinstance(answer, dict):
        raise ChainUnreachable(f"no answer to {method}: not an object")
    refusal = answer.get("error")
    if refusal is not None:
        _refuse(method, refusal)
    return answer.get("result")


def _refuse(method: str, refusal: Any) -> NoReturn:
    message = refusal.get("message", "") if isinstance(refusal, dict) else str(refusal)
    data = refusal.get("data") if isinstance(refusal, dict) else None
    if isinstance(data, str) and data.startswith("0x"):
        raise Reverted(*decoded_error(from_hex(data)))
    if "revert" in message.lower():
        raise Reverted(message[:200])
    raise NodeRefused(f"{method}: {message[:500]}")


def _transaction(call: Call, sender: bytes | None) -> dict[str, str]:
    fields = {"to": to_hex(call.to), "data": to_hex(call.data)}
    return fields if sender is None else {**fields, "from": to_hex(sender)}


def _when(block: int | None) -> str:
    return "latest" if block is None else hex(block)


def _shown(argument: Any) -> str:
    return to_hex(argument) if isinstance(argument, bytes) else str(argument)


def _number(value: Any) -> int:
    return int(str(value), 16)


def _bytes(value: Any) -> bytes:
    return from_hex(str(value))
