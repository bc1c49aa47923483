"""`up` keeps a marketplace on disk, restarts what dies, and leaves nothing running."""

import json
import os
import signal
import sqlite3
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from tests.e2e.ports import free_ports
from tests.e2e.processes import told, until, with_environment

OPEN_WITHIN = 150.0  # seconds; the first start deploys the contracts
STOP_WITHIN = 60.0


class Embedded:
    """`python -m services.embedded` on one state folder."""

    def __init__(self, home: Path) -> None:
        gateway, mqtt, chain = free_ports(3)
        self.home = home
        self.gateway_url = f"http://127.0.0.1:{gateway}"
        self._ports = {"GATEWAY_PORT": str(gateway), "MQTT_PORT": str(mqtt), "CHAIN_PORT": str(chain)}
        self.environment = {**os.environ, **self._ports, "HIRELING_HOME": str(home)}
        self._said = home.parent / "up.log"

    def up(self) -> subprocess.Popen[bytes]:
        """Start `up`, and return it once the marketplace is open."""
        self._said.unlink(missing_ok=True)
        with self._said.open("wb") as said:
            process = subprocess.Popen(
                [sys.executable, "-m", "services.embedded", "up"],
                env=self.environment,
                stdout=said,
                stderr=subprocess.STDOUT,
                stdin=subprocess.DEVNULL,
                start_new_session=True,
            )
        until(lambda: "is open" in self.said() or process.poll() is not None, within=OPEN_WITHIN)
        assert process.poll() is None, self.said()
        return process

    def run(self, verb: str) -> subprocess.CompletedProcess[str]:
        """Run a verb to its end."""
        return subprocess.run(
            [sys.executable, "-m", "services.embedded", verb],
            env=self.environment,
            capture_output=True,
            text=True,
            timeout=OPEN_WITHIN,
            check=False,
        )

    def said(self) -> str:
        """Return what `up` has printed."""
        return self._said.read_text()

    def platform(self) -> dict[str, object]:
        """Return what the gateway says of the marketplace."""
        url = f"{self.gateway_url}/v1/platform"
        with urllib.request.urlopen(url, timeout=10) as response:  # noqa: S310 - http, loopback
            answer: dict[str, object] = json.load(response)
        return answer

    def processes(self) -> list[int]:
        """Return the processes that run on this state folder, whatever started them."""
        return with_environment(f"HIRELING_HOME={self.home}\0".encode())


@pytest.fixture(scope="module")
def state(tmp_path_factory: pytest.TempPathFactory) -> Embedded:
    """Return a state folder for all: only the first who opens a marketplace there deploys the contracts."""
    return Embedded(tmp_path_factory.mktemp("up") / "market")


@pytest.fixture
def embedded(state: Embedded) -> Iterator[Embedded]:
    """Return the state folder; whatever still runs on it is killed afterwards."""
    try:
        yield state
    finally:
        for process in state.processes():
            os.kill(process, signal.SIGKILL)


def set_version(embedded: Embedded, version: str) -> str:
    """Have the listing's database be of another version; return which one it was of."""
    with closing(sqlite3.connect(embedded.home / "listing.db")) as database, database:
        (before,) = database.execute("SELECT version_num FROM alembic_version").fetchone()
        database.execute("UPDATE alembic_version SET version_num = ?", (version,))
    return str(before)


@pytest.mark.journey
@pytest.mark.timeout(600)
def test_continues_from_the_state_on_disk_and_leaves_nothing_running(embedded: Embedded) -> None:
    first = embedded.up()
    before = embedded.platform()
    refused = embedded.run("up")
    assert refused.returncode == 1
    assert "already runs" in refused.stdout

    first.send_signal(signal.SIGINT)
    assert first.wait(STOP_WITHIN) == 0
    until(lambda: embedded.processes() == [], within=STOP_WITHIN)

    # What died is started again; what the contracts and keys were, they are.
    second = embedded.up()
    assert embedded.platform() == before
    broker = next(pid for pid in embedded.processes() if b"embedded.broker" in told(pid, "cmdline"))
    os.kill(broker, signal.SIGKILL)
    until(lambda: "broker had died and was started again" in embedded.said(), within=STOP_WITHIN)

    assert embedded.run("down").stdout.strip() == "stopped"
    assert second.wait(STOP_WITHIN) == 0
    until(lambda: embedded.processes() == [], within=STOP_WITHIN)
    assert "no marketplace runs" in embedded.run("down").stdout


@pytest.mark.journey
@pytest.mark.timeout(600)
def test_a_killed_supervisor_takes_its_children_along(embedded: Embedded) -> None:
    supervisor = embedded.up()
    supervisor.kill()
    supervisor.wait()
    until(lambda: embedded.processes() == [], within=STOP_WITHIN)


@pytest.mark.journey
@pytest.mark.timeout(600)
def test_refuses_the_state_of_a_newer_version(embedded: Embedded) -> None:
    supervisor = embedded.up()
    supervisor.send_signal(signal.SIGINT)
    supervisor.wait(STOP_WITHIN)
    right = set_version(embedded, "9999")
    refused = embedded.run("up")
    set_version(embedded, right)
    assert refused.returncode == 1
    assert "the database of listing is at revision 9999, which a newer version wrote" in refused.stdout
    assert embedded.processes() == []
