"""A real development chain with the real contracts on it: anvil, and what Brownie deployed there."""

import itertools
import json
import os
import socket
import subprocess
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[1]
ANVIL = ROOT / "contracts/node_modules/@foundry-rs/anvil-linux-amd64/bin/anvil"
DEPLOY = ROOT / "contracts/scripts/deploy.sh"
STARTED_WITHIN = 20.0
DEPLOYED_WITHIN = 120.0
CHAIN_ID = 31337
WITHOUT_TRANSACTIONS = False
HELD_BACK, AT_ONCE = False, True


class ChainError(Exception):
    """The node refused a call; the message is its own."""


@dataclass(frozen=True)
class Deployment:
    """What Brownie deployed; ``path`` is the file that says so."""

    path: Path
    chain_id: int
    escrow: bytes
    registry: bytes
    token: bytes
    anchor: bytes


class DevChain:
    """One anvil process, its state in ``folder``.

    ``block_seconds`` None mines a block for every transaction at once. ``options`` go to anvil.
    """

    def __init__(
        self,
        folder: Path,
        *,
        block_seconds: int | None = None,
        chain_id: int = CHAIN_ID,
        options: tuple[str, ...] = (),
    ) -> None:
        self._folder = folder
        self._chain_id = chain_id
        self._options = options
        self._block_seconds = block_seconds
        self._ids = itertools.count(1)
        self._process: subprocess.Popen[bytes] | None = None
        self._deployment: Deployment | None = None
        self.port = free_port()
        folder.mkdir(parents=True, exist_ok=True)

    @classmethod
    def running_at(cls, port: int, deployment: Path) -> "DevChain":
        """Return the chain that somebody else runs on this port, with what the deployment's file names."""
        chain = cls(deployment.parent)
        chain.port, chain._deployment = port, read_deployment(deployment)
        return chain

    @property
    def rpc_url(self) -> str:
        """Return the node's JSON-RPC address."""
        return f"http://127.0.0.1:{self.port}"

    @property
    def state_file(self) -> Path:
        """Return the file that survives a kill."""
        return self._folder / "state.json"

    def start(self) -> None:
        """Start the node, from the state on disk if there is any, and wait until it answers."""
        command = [
            str(ANVIL),
            "--host",
            "127.0.0.1",
            "--port",
            str(self.port),
            "--chain-id",
            str(self._chain_id),
            "--quiet",
            *self._options,
        ]
        command += ["--state", str(self.state_file), "--state-interval", "1", "--prune-history", "64"]
        if self._block_seconds is not None:
            command += ["--block-time", str(self._block_seconds)]
        self._process = subprocess.Popen(command, stdin=subprocess.DEVNULL)
        deadline = time.monotonic() + STARTED_WITHIN
        while not self.answers():
            if self._process.poll() is not None or time.monotonic() > deadline:
                raise ChainError(f"anvil did not answer on {self.rpc_url} (exit code {self._process.poll()})")
            time.sleep(0.02)

    def stop(self) -> None:
        """Stop the node; its state is on disk."""
        if self._process is not None:
            self._process.terminate()
            self._process.wait(10)

    def kill(self) -> None:
        """Kill the node at once, as a power cut would."""
        assert self._process is not None
        self._process.kill()
        self._process.wait(10)

    def answers(self) -> bool:
        """Return whether the node answers."""
        try:
            self.call("eth_chainId")
        except (OSError, urllib.error.URLError):
            return False
        return True

    @property
    def deployment(self) -> Deployment:
        """Return what was deployed here."""
        assert self._deployment is not None, "nothing was deployed"
        return self._deployment

    def deploy(self) -> None:
        """Deploy the contracts by Brownie in a process of its own, unless they are there."""
        path = self._folder / "deployment.json"
        command = [str(DEPLOY), "--chain-id", str(CHAIN_ID), "--unlocked", "--out", str(path)]
        environment = os.environ | {
            "HIRELING_RPC_URL": self.rpc_url,
            "HIRELING_BROWNIE_HOME": str(self._folder / "brownie"),
        }
        done = subprocess.run(
            command, env=environment, capture_output=True, text=True, timeout=DEPLOYED_WITHIN, check=False
        )
        if done.returncode != 0:
            raise ChainError(f"the deployment failed:\n{done.stdout}{done.stderr}")
        self._deployment = read_deployment(path)

    def call(self, method: str, *params: Any) -> Any:
        """Return what the node answers. Raises ChainError when it refuses."""
        body = {"jsonrpc": "2.0", "id": next(self._ids), "method": method, "params": list(params)}
        request = urllib.request.Request(  # noqa: S310 - http, loopback
            self.rpc_url, data=json.dumps(body).encode(), headers={"Content-Type": "application/json"}
        )
        with urllib.request.urlopen(request, timeout=30) as response:  # noqa: S310 - http, loopback
            answer = json.load(response)
        if "error" in answer:
            raise ChainError(str(answer["error"]))
        return answer["result"]

    def now(self) -> int:
        """Return the newest block's Unix time."""
        return int(self.call("eth_getBlockByNumber", "latest", WITHOUT_TRANSACTIONS)["timestamp"], 16)

    def height(self) -> int:
        """Return the newest block's number."""
        return int(self.call("eth_blockNumber"), 16)

    def mine(self, blocks: int = 1) -> None:
        """Add blocks, a second apart."""
        for _ in range(blocks):
            self.call("evm_mine")

    @contextmanager
    def holding_back(self) -> Iterator[None]:
        """Mine nothing by itself for the length of the block: what is sent waits for `mine`."""
        self.call("evm_setAutomine", HELD_BACK)
        try:
            yield
        finally:
            self.call("evm_setAutomine", AT_ONCE)

    def travel_to(self, moment: int) -> None:
        """Mine a block of that Unix time, which must lie after the newest one's."""
        self.call("evm_setNextBlockTimestamp", moment)
        self.call("evm_mine")

    def travel(self, *, seconds: int) -> None:
        """Mine a block that many seconds after the newest one."""
        self.travel_to(self.now() + seconds)

    def fund(self, address: bytes, *, wei: int = 10**20) -> None:
        """Give an address ether for gas."""
        self.call("anvil_setBalance", f"0x{address.hex()}", hex(wei))

    def first_account(self) -> str:
        """Return the first of the node's own rich, unlocked accounts."""
        return str(self.call("eth_accounts")[0])

    @contextmanager
    def rolled_back(self) -> Iterator[None]:
        """Undo everything the block does to the chain, its clock included."""
        snapshot = self.call("evm_snapshot")
        try:
            yield
        finally:
            assert self.call("evm_revert", snapshot)


def read_deployment(path: Path) -> Deployment:
    """Return the contracts that a deployment's file names."""
    facts = json.loads(path.read_text())
    contracts = {name: bytes.fromhex(facts[name][2:]) for name in ("escrow", "registry", "token", "anchor")}
    return Deployment(path=path, chain_id=facts["chain_id"], **contracts)


@contextmanager
def deployed_chain(folder: Path, *, block_seconds: int | None = None) -> Iterator[DevChain]:
    """Run a chain with the contracts on it for the length of the block."""
    chain = DevChain(folder, block_seconds=block_seconds)
    chain.start()
    try:
        chain.deploy()
        yield chain
    finally:
        chain.stop()


def free_port() -> int:
    """Return a port that nothing uses now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
