"""A node's JSON-RPC, spoken plainly: agents only read the chain, and need no library for that."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import httpx

TIMEOUT_SECONDS = 5.0


class ChainUnreachable(Exception):
    """The node did not answer, or not as a node does; nothing was changed."""


@dataclass(frozen=True)
class Log:
    """What a contract said in a transaction, apart from its topics."""

    block: int
    transaction: bytes
    data: bytes


@dataclass(frozen=True)
class EventLog:
    """One of a transaction's logs, whole."""

    contract: bytes
    topics: tuple[bytes, ...]
    data: bytes


class JsonRpc:
    """One node."""

    def __init__(self, url: str, *, transport: httpx.AsyncBaseTransport | None = None) -> None:
        self._url = url
        self._http = httpx.AsyncClient(timeout=TIMEOUT_SECONDS, transport=transport)

    async def chain_id(self) -> int:
        """Return the chain's id. Raises ChainUnreachable."""
        return int(str(await self._call("eth_chainId")), 16)

    async def height(self) -> int:
        """Return the newest block's number. Raises ChainUnreachable."""
        return int(str(await self._call("eth_blockNumber")), 16)

    async def block_time(self, block: int) -> int:
        """Return a block's Unix time in seconds. Raises ChainUnreachable."""
        found = await self._call("eth_getBlockByNumber", hex(block), False)  # noqa: FBT003 - the method's own signature
        if not isinstance(found, dict) or "timestamp" not in found:
            raise ChainUnreachable(f"{self._url} knows no block {block}")
        return int(found["timestamp"], 16)

    async def read(self, contract: bytes, calldata: bytes, *, block: int | None = None) -> bytes:
        """Return what a view function answers at a block, or at the newest. Raises ChainUnreachable."""
        call = {"to": f"0x{contract.hex()}", "data": f"0x{calldata.hex()}"}
        answer = await self._call("eth_call", call, "latest" if block is None else hex(block))
        if not isinstance(answer, str):
            raise ChainUnreachable(f"{self._url} answered eth_call with {answer!r}")
        return bytes.fromhex(answer.removeprefix("0x"))

    async def logs(self, contract: bytes, topics: Sequence[bytes], *, first: int, last: int) -> list[Log]:
        """Return a contract's logs with these first topics in the blocks first to last, in order.

        Raises ChainUnreachable, also where the node finds the range too long.
        """
        wanted = {
            "address": f"0x{contract.hex()}",
            "topics": [f"0x{topic.hex()}" for topic in topics],
            "fromBlock": hex(first),
            "toBlock": hex(last),
        }
        answer = await self._call("eth_getLogs", wanted)
        if not isinstance(answer, list):
            raise ChainUnreachable(f"{self._url} answered eth_getLogs with {answer!r}")
        return [
            Log(
                block=int(log["blockNumber"], 16),
                transaction=bytes.fromhex(log["transactionHash"][2:]),
                data=bytes.fromhex(log["data"][2:]),
            )
            for log in answer
        ]

    async def transaction_logs(self, transaction: bytes) -> list[EventLog]:
        """Return every log of a mined transaction, in order. Raises ChainUnreachable."""
        receipt = await self._call("eth_getTransactionReceipt", f"0x{transaction.hex()}")
        if not isinstance(receipt, dict) or not isinstance(receipt.get("logs"), list):
            raise ChainUnreachable(f"{self._url} knows no transaction 0x{transaction.hex()}")
        return [
            EventLog(
                contract=bytes.fromhex(log["address"][2:]),
                topics=tuple(bytes.fromhex(topic[2:]) for topic in log["topics"]),
                data=bytes.fromhex(log["data"][2:]),
            )
            for log in sorted(receipt["logs"], key=lambda log: int(log["logIndex"], 16))
        ]

    async def close(self) -> None:
        """Free the connections."""
        await self._http.aclose()

    async def _call(self, method: str, *params: Any) -> object:
        body = {"jsonrpc": "2.0", "id": 1, "method": method, "params": list(params)}
        try:
            response = await self._http.post(self._url, json=body)
            answer = response.raise_for_status().json()
        except (httpx.HTTPError, ValueError) as error:
            raise ChainUnreachable(f"the node {self._url} does not answer {method}: {error!r}") from error
        if not isinstance(answer, dict) or "result" not in answer:
            raise ChainUnreachable(f"the node {self._url} refuses {method}: {answer}")
        result: object = answer["result"]
        return result
