"""Sends what is missing, by a Brownie account, and waits until the chain has it. Safe to be killed and run again anywhere."""

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from deployment.errors import Refused, Unfinished
from deployment.guard import PROXY_COST, PROXY_SENDER, PROXY_TRANSACTION, has_proxy
from deployment.node import Node, NodeError
from deployment.plan import PROXY, Step
from deployment.verifying import is_deployed

POLL_SECONDS = 0.1
# Gas estimates may be exact, and the state they were made on may change before the block.
GAS_MARGIN = (11, 10)
# A base fee rises by an eighth a block at most: twice the present one covers five full blocks.
BASE_FEE_MARGIN = 2
LEAST_PRIORITY_FEE = 10**6  # wei, where the node suggests none


@dataclass(frozen=True)
class Fees:
    """What a unit of gas may cost, in wei."""

    most: int
    priority: int


@dataclass(frozen=True)
class Patience:
    """How long to wait for the chain."""

    seconds: float
    confirmations: int


class Sender:
    """One account that pays, on one node."""

    def __init__(self, node: Node, account: Any, patience: Patience, say: Callable[[str], None]) -> None:
        self._node = node
        self._account = account
        self._patience = patience
        self._say = say

    def deploy(self, steps: list[Step]) -> int | None:
        """Create what is missing; return the first block that holds any of it, or None if nothing was sent.

        Raises Refused before sending, Unfinished after.
        """
        self._settle_earlier()
        missing = [step for step in steps if not is_deployed(self._node, step)]
        blocks: list[int] = []
        while missing:
            sent = self._send_what_can_be(missing)
            blocks += [self._await(transaction, what) for transaction, what in sent.items()]
            still = [step for step in missing if not is_deployed(self._node, step)]
            if len(still) == len(missing):
                raise Unfinished("the transactions were mined and created nothing: see them on the chain")
            missing = still
        return min(blocks, default=None)

    def install_proxy(self) -> None:
        """Create the deployment proxy by its published transaction, paying for its sender's gas."""
        if has_proxy(self._node):
            return
        lacking = PROXY_COST - self._node.number("eth_getBalance", PROXY_SENDER, "latest")
        if lacking > 0:
            fees = self._fees()
            self._require_balance(lacking + 21_000 * fees.most)
            transaction = self._send(to=PROXY_SENDER, value=lacking, data="", gas=21_000, fees=fees)
            self._await(transaction, f"gas money of {PROXY_SENDER}")
        try:
            created = self._node.ask("eth_sendRawTransaction", PROXY_TRANSACTION)
        except NodeError as error:
            raise Unfinished(
                f"the node takes no transaction without a chain id ({error}): let it (geth: --rpc.allow-unprotected-txs), or ask"
                " the chain's operator to create the proxy"
            ) from error
        self._await(created, "deployment proxy")

    def confirm(self, block: int) -> None:
        """Wait until as many blocks as asked for stand on a block."""
        until = block + self._patience.confirmations - 1
        self._until(lambda: self._node.height() >= until, f"block {until}")

    def _send_what_can_be(self, missing: list[Step]) -> dict[str, str]:
        """Send every step that can run now. A constructor that calls a contract not there yet waits for the next round."""
        gas = {step.key: self._gas(step) for step in missing}
        possible = {step: limit for step in missing if (limit := gas[step.key]) is not None}
        if not possible:
            raise Refused(f"no constructor of {', '.join(step.artifact.name for step in missing)} runs on this chain")
        fees = self._fees()
        self._require_balance(sum(possible.values()) * fees.most)
        sent = {}
        for step, limit in possible.items():
            transaction = self._send(to=PROXY, value=0, data="0x" + step.payload.hex(), gas=limit, fees=fees)
            self._say(f"{step.artifact.name}: sent {transaction}")
            sent[transaction] = step.artifact.name
        return sent

    def _gas(self, step: Step) -> int | None:
        call = {"from": self._account.address, "to": PROXY, "data": "0x" + step.payload.hex()}
        try:
            estimate = self._node.number("eth_estimateGas", call)
        except NodeError:
            return None
        return estimate * GAS_MARGIN[0] // GAS_MARGIN[1]

    def _fees(self) -> Fees:
        newest = self._node.ask("eth_getBlockByNumber", "latest", False)
        try:
            priority = max(self._node.number("eth_maxPriorityFeePerGas"), LEAST_PRIORITY_FEE)
        except NodeError:
            priority = LEAST_PRIORITY_FEE
        return Fees(most=BASE_FEE_MARGIN * int(newest["baseFeePerGas"], 16) + priority, priority=priority)

    def _require_balance(self, cost: int) -> None:
        held = self._node.number("eth_getBalance", self._account.address, "latest")
        if held < cost:
            raise Refused(
                f"the deployer {self._account.address} holds {held / 10**18:.6f} ether and may need {cost / 10**18:.6f}"
            )

    def _send(self, *, to: str, value: int, data: str, gas: int, fees: Fees) -> str:
        receipt = self._account.transfer(
            to=to,
            amount=value,
            data=data,
            gas_limit=gas,
            max_fee=fees.most,
            priority_fee=fees.priority,
            required_confs=0,
            silent=True,
            skip_undo=True,
        )
        return str(receipt.txid)

    def _await(self, transaction: str, what: str) -> int:
        """Return the block of a transaction once it is in one."""
        receipt: dict[str, Any] = {}

        def is_mined() -> bool:
            receipt.update(self._node.ask("eth_getTransactionReceipt", transaction) or {})
            return bool(receipt)

        self._until(is_mined, f"{what} ({transaction})")
        if int(receipt["status"], 16) != 1:
            # Someone else may have created the same contract first: what lies there decides, not who put it.
            self._say(f"{what}: {transaction} did not succeed")
        return int(receipt["blockNumber"], 16)

    def _settle_earlier(self) -> None:
        """Wait for what an earlier run of the same account sent and did not live to see."""
        address = self._account.address

        def is_settled() -> bool:
            mined = self._node.number("eth_getTransactionCount", address, "latest")
            return self._node.number("eth_getTransactionCount", address, "pending") <= mined

        self._until(is_settled, f"earlier transactions of {address}")

    def _until(self, is_so: Callable[[], bool], what: str) -> None:
        deadline = time.monotonic() + self._patience.seconds
        while not is_so():
            if time.monotonic() > deadline:
                raise Unfinished(f"{what} is not there after {self._patience.seconds:.0f} s: run the same command again")
            time.sleep(POLL_SECONDS)
