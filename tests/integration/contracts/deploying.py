"""Runs the deployment as an operator does: a process of its own, told by its command line."""

import json
import os
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.chain import CHAIN_ID, DEPLOY, DEPLOYED_WITHIN, DevChain

DONE, REFUSED, DIFFERS, UNFINISHED = 0, 2, 3, 4
CONTRACTS = {"RentalEscrow", "DeviceRegistry", "BatchAnchor", "PasskeyVerifier", "TestStablecoin"}


@dataclass(frozen=True)
class Run:
    """How a run ended."""

    code: int
    out: str
    said: str


class Operator:
    """Whoever deploys to one chain, with the record in one folder."""

    def __init__(self, chain: DevChain, folder: Path) -> None:
        self.chain = chain
        self.record_path = folder / "record.json"
        self._brownie = folder / "brownie"
        folder.mkdir(parents=True, exist_ok=True)

    def run(self, *options: str, chain_id: int = CHAIN_ID) -> Run:
        """Run the command to its end."""
        done = subprocess.run(
            self._command(options, chain_id),
            env=self._environment(),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=DEPLOYED_WITHIN,
            check=False,
        )
        return Run(done.returncode, done.stdout, done.stderr)

    def start(self, *options: str) -> subprocess.Popen[str]:
        """Start the command in a process group of its own."""
        return subprocess.Popen(
            self._command(options, CHAIN_ID),
            env=self._environment(),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )

    def record(self) -> dict[str, Any]:
        """Return what the record says."""
        read: dict[str, Any] = json.loads(self.record_path.read_text())
        return read

    def sent(self, sender: str | None = None) -> int:
        """Return how many transactions of an account the chain has, by default the first unlocked one's."""
        return int(
            self.chain.call("eth_getTransactionCount", sender or self.chain.first_account(), "latest"), 16
        )

    def _command(self, options: tuple[str, ...], chain_id: int) -> list[str]:
        return [str(DEPLOY), "--chain-id", str(chain_id), "--out", str(self.record_path), *options]

    def _environment(self) -> dict[str, str]:
        return os.environ | {
            "HIRELING_RPC_URL": self.chain.rpc_url,
            "HIRELING_BROWNIE_HOME": str(self._brownie),
        }
