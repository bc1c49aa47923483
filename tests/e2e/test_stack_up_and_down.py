"""`make up-stack` keeps what it holds, stops all that it started, and survives its own death."""

import json
import os
import signal
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.e2e.ports import free_ports
from tests.e2e.processes import told, until, with_environment
from tests.stack import STACK

OPEN_WITHIN = 240.0  # seconds; three servers, twelve processes, and the contracts the first time
STOP_WITHIN = 150.0

pytestmark = [pytest.mark.stack, pytest.mark.journey, pytest.mark.timeout(900)]


class UpStack:
    """`make up-stack` and `make down-stack` on one folder."""

    def __init__(self, home: Path) -> None:
        gateway, chain = free_ports(2)
        self.home = home
        self._url = f"http://127.0.0.1:{gateway}"
        ports = {"GATEWAY_PORT": str(gateway), "CHAIN_PORT": str(chain)}
        self._environment = {**os.environ, **ports, "HIRELING_HOME": str(home)}
        self._said = home.parent / "up-stack.log"

    def up(self) -> subprocess.Popen[bytes]:
        """Start it, and return it once the marketplace is open."""
        command = [sys.executable, "-m", "services.embedded", "up-stack"]
        with self._said.open("wb") as said:
            process = subprocess.Popen(
                [sys.executable, str(STACK), "keep", str(self.home), "--", *command],
                env=self._environment,
                stdout=said,
                stderr=subprocess.STDOUT,
                stdin=subprocess.DEVNULL,
                start_new_session=True,
            )
        until(lambda: "is open" in self.said() or process.poll() is not None, within=OPEN_WITHIN)
        assert process.poll() is None, self.said()
        return process

    def down(self) -> str:
        """Stop it from elsewhere; return what is said."""
        command = [sys.executable, str(STACK), "stop", str(self.home)]
        return subprocess.run(
            command, capture_output=True, text=True, timeout=STOP_WITHIN, check=True
        ).stdout.strip()

    def said(self) -> str:
        """Return what `up` has printed."""
        return self._said.read_text()

    def listings(self) -> dict[str, str]:
        """Return the title of each listed device."""
        found = self.get("/v1/listings")["items"]
        return {each["document"]["device"]: each["document"]["title"] for each in found}

    def get(self, path: str) -> Any:
        """Return the gateway's answer."""
        with urllib.request.urlopen(f"{self._url}{path}", timeout=30) as response:  # noqa: S310 - http, loopback
            return json.load(response)

    def is_supervised(self) -> bool:
        """Return whether the command that was started beside the servers still runs."""
        return any(b"up-stack" in told(process, "cmdline") for process in self.processes())

    def processes(self) -> list[int]:
        """Return what runs on this folder or on its servers' data."""
        marks = [str(self.home).encode(), str((self.home / "servers").resolve()).encode()]
        return with_environment(*marks)


@pytest.fixture
def up_stack(tmp_path: Path) -> Iterator[UpStack]:
    """Return a folder of its own; whatever still runs on it is killed afterwards."""
    up_stack = UpStack(tmp_path / "market")
    try:
        yield up_stack
    finally:
        for process in up_stack.processes():
            os.kill(process, signal.SIGKILL)
        subprocess.run(["rm", "-rf", str((up_stack.home / "servers").resolve())], check=True)


def test_a_death_and_a_restart_lose_nothing(up_stack: UpStack) -> None:
    first = up_stack.up()
    until(lambda: len(up_stack.listings()) == 2, within=OPEN_WITHIN)
    platform, listings = up_stack.get("/v1/platform"), up_stack.listings()
    assert sorted(listings.values()) == ["A recorded machine", "This computer"]

    # Its command ends with it, in time; its servers, which nothing could end, make way for the next.
    first.kill()
    first.wait()
    until(lambda: not up_stack.is_supervised(), within=STOP_WITHIN)
    second = up_stack.up()
    assert up_stack.get("/v1/platform") == platform
    assert up_stack.listings() == listings
    assert up_stack.down() == "stopped"
    assert second.wait(STOP_WITHIN) == 0
    assert up_stack.processes() == []
    assert up_stack.down() == f"no stack runs on {up_stack.home}"
