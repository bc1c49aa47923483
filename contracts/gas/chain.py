"""A chain of its own for measuring: every address may send, gas is free, and the clock starts at a fixed second.

The clock is fixed because calldata carries times, and a zero byte costs a quarter of another: two runs measure the same.
"""

import json
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import requests
from eth_abi import decode, encode
from eth_utils import keccak, to_checksum_address

CONTRACTS = Path(__file__).resolve().parent.parent
ANVIL = CONTRACTS / "node_modules/@foundry-rs/anvil-linux-amd64/bin/anvil"
GENESIS = 1_800_000_000
START_SECONDS = 20
# EIP-7825 lets no transaction have more.
GAS_LIMIT = 1 << 24


@dataclass(frozen=True)
class Sent:
    """A transaction in a block: its total gas, refunds taken off, and the bytes of its calldata."""

    hash: str
    gas: int
    calldata: bytes
    contract: str | None


class Chain:
    def __init__(self, url: str) -> None:
        self._url = url
        self._session = requests.Session()
        self._next_at: int | None = None
        self._deployer = to_checksum_address(self.rpc("eth_accounts")[0])

    def rpc(self, method: str, *params: Any) -> Any:
        request = {"jsonrpc": "2.0", "id": 1, "method": method, "params": list(params)}
        answer = self._session.post(self._url, json=request, timeout=120).json()
        if "error" in answer:
            raise RuntimeError(f"{method}: {answer['error']}")
        return answer["result"]

    def send(self, sender: str, to: str | None, calldata: bytes) -> Sent:
        """Send a transaction and wait until it is in a block; a transaction that reverts is an error."""
        call = {"from": sender, "data": "0x" + calldata.hex(), "gas": hex(GAS_LIMIT), "gasPrice": "0x0"}
        if to is not None:
            call["to"] = to
        # Left alone, the chain's clock goes on with the machine's, and calldata with it.
        self.rpc("evm_setNextBlockTimestamp", self._next_at or self.now + 1)
        self._next_at = None
        # Asked first, because the answer says why.
        self.rpc("eth_call", call, "pending")
        transaction = self.rpc("eth_sendTransaction", call)
        receipt = self._receipt(transaction)
        if receipt["status"] != "0x1":
            raise RuntimeError(f"a transaction to {to} reverted: {calldata[:4].hex()}")
        return Sent(transaction, int(receipt["gasUsed"], 16), calldata, receipt.get("contractAddress"))

    def _receipt(self, transaction: str) -> dict[str, Any]:
        deadline = time.monotonic() + START_SECONDS
        while (receipt := self.rpc("eth_getTransactionReceipt", transaction)) is None:
            if time.monotonic() > deadline:
                raise TimeoutError(f"{transaction} was not mined within {START_SECONDS} s")
            time.sleep(0.002)
        found: dict[str, Any] = receipt
        return found

    def is_refused(self, sender: str, to: str, calldata: bytes) -> bool:
        try:
            self.rpc("eth_call", {"from": sender, "to": to, "data": "0x" + calldata.hex()}, "pending")
        except RuntimeError:
            return True
        return False

    @property
    def now(self) -> int:
        return int(self.rpc("eth_getBlockByNumber", "latest", False)["timestamp"], 16)

    def next_at(self, timestamp: int) -> None:
        """Let the next transaction happen at exactly this second."""
        self._next_at = timestamp

    @contextmanager
    def set_aside(self) -> Iterator[None]:
        """Forget at the end what happens inside."""
        snapshot = self.rpc("evm_snapshot")
        yield
        self.rpc("evm_revert", snapshot)

    def deploy(self, name: str, *arguments: Any) -> "Contract":
        artifact = json.loads((CONTRACTS / f"build/contracts/{name}.json").read_text())
        constructor = [entry for entry in artifact["abi"] if entry["type"] == "constructor"]
        types = [canonical(each) for entry in constructor for each in entry["inputs"]]
        code = bytes.fromhex(artifact["bytecode"]) + encode(types, arguments)
        address = self.send(self._deployer, None, code).contract
        assert address is not None
        return Contract(self, to_checksum_address(address), artifact)


class Contract:
    """A deployed contract: encodes calls, sends them, reads views."""

    def __init__(self, chain: Chain, address: str, artifact: dict[str, Any]) -> None:
        self._chain = chain
        self.address = address
        self.artifact = artifact
        self._functions = {entry["name"]: entry for entry in artifact["abi"] if entry["type"] == "function"}

    @property
    def code_bytes(self) -> int:
        return len(self.artifact["deployedBytecode"]) // 2

    def has(self, function: str) -> bool:
        return function in self._functions

    def encode(self, function: str, *arguments: Any) -> bytes:
        types = [canonical(each) for each in self._functions[function]["inputs"]]
        selector = keccak(text=f"{function}({','.join(types)})")[:4]
        return bytes(selector + encode(types, arguments))

    def send(self, function: str, *arguments: Any, sender: str) -> Sent:
        return self._chain.send(sender, self.address, self.encode(function, *arguments))

    def read(self, function: str, *arguments: Any) -> tuple[Any, ...]:
        call = {"to": self.address, "data": "0x" + self.encode(function, *arguments).hex()}
        answer = bytes.fromhex(self._chain.rpc("eth_call", call, "latest")[2:])
        return tuple(decode([canonical(each) for each in self._functions[function]["outputs"]], answer))


def canonical(entry: dict[str, Any]) -> str:
    """Return an ABI type with its tuples written out."""
    if not entry["type"].startswith("tuple"):
        return str(entry["type"])
    return "(" + ",".join(map(canonical, entry["components"])) + ")" + entry["type"][5:]


@contextmanager
def running_chain(*, keeps_steps: bool = False) -> Iterator[Chain]:
    """Run a chain with the newest rules the node has (Osaka) while the block lasts.

    It can tell what a transaction did step by step if it keeps the steps, which slows it down.
    """
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    command = [str(ANVIL), "--port", str(port), "--quiet", "--auto-impersonate", "--timestamp", str(GENESIS)]
    command += ["--steps-tracing"] if keeps_steps else []
    command += ["--hardfork", "osaka", "--gas-price", "0", "--block-base-fee-per-gas", "0"]
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as process:
        try:
            yield Chain(_when_up(f"http://127.0.0.1:{port}"))
        finally:
            process.terminate()


def _when_up(url: str) -> str:
    request = {"jsonrpc": "2.0", "id": 1, "method": "eth_chainId", "params": []}
    deadline = time.monotonic() + START_SECONDS
    while True:
        try:
            requests.post(url, json=request, timeout=5).raise_for_status()
            return url
        except requests.ConnectionError:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.02)
