"""What became of an authorisation, as the token's own logs tell it."""

import asyncio
import json
from collections.abc import Sequence
from typing import Any

import httpx
import pytest

from hireling.json_rpc import JsonRpc
from hireling.x402.token import (
    AUTHORIZATION_CANCELED,
    AUTHORIZATION_USED,
    MOST_BLOCKS,
    TRANSFER,
    CarriedOut,
    NeverAgain,
    SearchedUpTo,
    Token,
    Transfer,
)
from tests.builders import TOKEN, a_key

# At this height there is more than one search in the blocks since SINCE.
FAR = 90 + 3 * MOST_BLOCKS
HEIGHT, CONFIRMATIONS, SINCE = 100, 2, 90
VALID_BEFORE = 5_000
PAYER, FRONT, STRANGER = (a_key(name).identity for name in ("payer", "front", "stranger"))
NONCE, OTHER_NONCE = b"\x01" * 32, b"\x02" * 32
WANTED = Transfer(sender=PAYER, recipient=FRONT, value=700, nonce=NONCE)
Log = dict[str, Any]


def log(*topics: bytes, data: bytes = b"", contract: bytes = TOKEN) -> Log:
    """Return a log, as a node tells it, of a transaction that has a block yet to come."""
    return {
        "address": f"0x{contract.hex()}",
        "topics": [f"0x{topic.rjust(32, bytes(1)).hex()}" for topic in topics],
        "data": f"0x{data.hex()}",
    }


def used(nonce: bytes = NONCE) -> Log:
    """Return that a nonce was used for a transfer."""
    return log(AUTHORIZATION_USED, PAYER, nonce)


def moved(value: int = 700, *, to: bytes = FRONT, contract: bytes = TOKEN) -> Log:
    """Return that tokens moved."""
    return log(TRANSFER, PAYER, to, data=value.to_bytes(32), contract=contract)


def outcome(
    *logs: Log,
    block: int = 95,
    time: int = VALID_BEFORE - 1,
    valid_before: int | None = VALID_BEFORE,
    height: int = HEIGHT,
    since: int = SINCE,
) -> CarriedOut | NeverAgain | SearchedUpTo | None:
    """Return what is made of a chain on which one transaction left these logs."""
    told: Sequence[Log] = [
        {**each, "logIndex": hex(index), "blockNumber": hex(block), "transactionHash": f"0x{block:064x}"}
        for index, each in enumerate(logs)
    ]

    def answer(call: dict[str, Any]) -> Any:
        match call["method"]:
            case "eth_blockNumber":
                return hex(height)
            case "eth_getBlockByNumber":
                return {"timestamp": hex(time)}
            case "eth_getTransactionReceipt":
                return {"logs": list(reversed(told))}
        wanted = call["params"][0]
        first, last = int(wanted["fromBlock"], 16), int(wanted["toBlock"], 16)
        assert last - first < MOST_BLOCKS
        is_asked = [
            each
            for each in told
            if each["topics"][: len(wanted["topics"])] == wanted["topics"]
            and each["address"] == wanted["address"]
        ]
        return is_asked if first <= block <= last else []

    def node(request: httpx.Request) -> httpx.Response:
        return httpx.Response(200, json={"result": answer(json.loads(request.content))})

    async def ask() -> CarriedOut | NeverAgain | SearchedUpTo | None:
        rpc = JsonRpc("http://node", transport=httpx.MockTransport(node))
        try:
            token = Token(rpc, TOKEN, confirmations=CONFIRMATIONS)
            return await token.outcome(WANTED, since=since, valid_before=valid_before)
        finally:
            await rpc.close()

    return asyncio.run(ask())


class TestOutcome:
    def test_is_carried_out_where_the_transfer_follows_the_use(self) -> None:
        assert outcome(used(), moved()) == CarriedOut(transaction=(95).to_bytes(32))

    def test_is_open_while_nothing_happened(self) -> None:
        assert outcome() is None

    def test_is_open_while_it_is_not_deep_enough(self) -> None:
        assert outcome(used(), moved(), block=99) is None
        assert outcome(used(), moved(), block=98) is not None

    def test_is_over_once_it_lapsed(self) -> None:
        assert isinstance(outcome(time=VALID_BEFORE), NeverAgain)
        assert outcome(time=VALID_BEFORE, valid_before=None) is None

    def test_is_searched_for_in_few_blocks_at_once_and_not_lapsed_before(self) -> None:
        found = outcome(height=FAR, time=VALID_BEFORE)
        assert found == SearchedUpTo(SINCE + MOST_BLOCKS)
        later = SINCE + MOST_BLOCKS
        assert isinstance(outcome(used(), moved(), block=later, height=FAR, since=later), CarriedOut)

    def test_is_over_once_it_was_cancelled(self) -> None:
        assert isinstance(outcome(log(AUTHORIZATION_CANCELED, PAYER, NONCE)), NeverAgain)

    @pytest.mark.parametrize(
        "transfer",
        [moved(699), moved(to=STRANGER), moved(contract=STRANGER)],
        ids=["less", "elsewhere", "other"],
    )
    def test_is_over_where_the_nonce_paid_for_something_else(self, transfer: Log) -> None:
        assert isinstance(outcome(used(), transfer), NeverAgain)

    def test_one_transfer_does_not_pay_two_nonces(self) -> None:
        # Ours went to the payer itself; the other nonce's is the one that reached the front.
        logs = used(), moved(to=PAYER), used(OTHER_NONCE), moved()
        assert isinstance(outcome(*logs), NeverAgain)
