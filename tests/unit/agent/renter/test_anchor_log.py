"""What the chain's log says of a day: the first root that the publisher announced."""

import asyncio
import json
from typing import Any

import httpx
import pytest

from hireling.json_rpc import ChainUnreachable, JsonRpc
from hireling.rental.anchoring import READINGS, ROOT_ANNOUNCED, Announcement, batch_of
from hireling.renter.anchor_log import Announced, first_announced

DAY, HEIGHT, TIME = 20_780, 120, 1_795_000_000
PLACE = Announcement(chain_id=1, contract=b"\x0a" * 20, publisher=b"\x0b" * 20)
BATCH = batch_of(READINGS, DAY)
FIRST, SECOND = b"\x01" * 32, b"\x02" * 32


def a_log(block: int, root: bytes, *, day: int = DAY) -> dict[str, str]:
    """Return a log as a node tells it."""
    data = batch_of(READINGS, day) + root
    return {"blockNumber": hex(block), "transactionHash": f"0x{block:064x}", "data": f"0x{data.hex()}"}


def look_up(logs: Any, *, asked: list[Any] | None = None) -> Announced | None:
    """Return what is found on a chain with these logs; what it is asked for is added to `asked`."""

    def node(request: httpx.Request) -> httpx.Response:
        call = json.loads(request.content)
        if asked is not None and call["method"] == "eth_getLogs":
            asked.extend(call["params"])
        results = {
            "eth_blockNumber": hex(HEIGHT),
            "eth_getBlockByNumber": {"timestamp": hex(TIME)},
            "eth_getLogs": logs,
        }
        return httpx.Response(200, json={"result": results[call["method"]]})

    async def ask() -> Announced | None:
        rpc = JsonRpc("http://node", transport=httpx.MockTransport(node))
        try:
            return await first_announced(rpc, PLACE, BATCH, from_block=3)
        finally:
            await rpc.close()

    return asyncio.run(ask())


class TestFirstAnnounced:
    def test_is_the_first_of_two_for_a_batch(self) -> None:
        found = look_up([a_log(90, SECOND, day=DAY - 1), a_log(100, FIRST), a_log(101, SECOND)])
        transaction = (100).to_bytes(32)
        assert found == Announced(root=FIRST, transaction=transaction, block=100, depth=21, time=TIME)

    def test_is_none_where_only_other_days_were_announced(self) -> None:
        assert look_up([a_log(90, FIRST, day=DAY + 1)]) is None

    def test_asks_for_this_publisher_in_this_contract_only(self) -> None:
        asked: list[Any] = []
        look_up([], asked=asked)
        assert asked == [
            {
                "address": "0x" + "0a" * 20,
                "topics": [f"0x{ROOT_ANNOUNCED.hex()}", "0x" + "00" * 12 + "0b" * 20],
                "fromBlock": "0x3",
                "toBlock": hex(HEIGHT),
            }
        ]

    def test_believes_no_node_that_answers_something_else(self) -> None:
        with pytest.raises(ChainUnreachable, match="answered eth_getLogs"):
            look_up("many")
