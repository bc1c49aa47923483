"""Keep a marketplace running: one supervisor a state folder, restarts what dies, stops all on Ctrl-C."""

import fcntl
import os
import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from rich.console import Console

from services.embedded.errors import EmbeddedError
from services.embedded.marketplace import Marketplace
from services.embedded.settings import EmbeddedSettings

HIRELING = ".venv/bin/hireling"
WATCH_EVERY = 0.5  # seconds
STOPPED_WITHIN = 60.0  # seconds for four children to drain


def _lock_file(settings: EmbeddedSettings) -> Path:
    return settings.home / "run" / "supervisor.pid"


@contextmanager
def only_one(settings: EmbeddedSettings) -> Iterator[None]:
    """Hold this state folder for one supervisor; raise EmbeddedError where another holds it.

    The lock is the kernel's (flock), so a supervisor that was killed leaves none behind.
    """
    path = _lock_file(settings)
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("a+") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise EmbeddedError(
                f"a marketplace already runs on {settings.home}: `make down` stops it"
            ) from error
        file.truncate(0)
        file.write(str(os.getpid()))
        file.flush()
        yield
        file.truncate(0)


def running_pid(settings: EmbeddedSettings) -> int | None:
    """Return the process id of the supervisor that holds this state folder, or None."""
    path = _lock_file(settings)
    if not path.exists():
        return None
    with path.open("a+") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return int(path.read_text() or "0") or None
    return None


def stop_running(settings: EmbeddedSettings) -> str:
    """Stop the supervisor of this state folder and wait for its children; return what to tell the person."""
    pid = running_pid(settings)
    if pid is None:
        return f"no marketplace runs on {settings.home}"
    os.kill(pid, signal.SIGTERM)
    deadline = time.monotonic() + STOPPED_WITHIN
    while running_pid(settings) is not None:
        if time.monotonic() > deadline:
            raise EmbeddedError(f"process {pid} did not stop within {STOPPED_WITHIN:.0f} s")
        time.sleep(0.1)
    return "stopped"


class Supervisor:
    """Run a marketplace in the foreground."""

    def __init__(self, market: Marketplace, console: Console) -> None:
        self._market = market
        self._console = console

    def run(self) -> int:
        """Run until interrupted; return the exit code."""
        settings = self._market.settings
        with only_one(settings):
            self._market.start()
            self._console.print(f"\nthe marketplace is open: {settings.gateway_url}  (Ctrl-C stops it)")
            self._console.print(
                f"add a machine:  {HIRELING} device run --driver host --gateway {settings.gateway_url}"
            )
            self._console.print(f"rent it:        {HIRELING} rent --gateway {settings.gateway_url}\n")
            try:
                while True:
                    time.sleep(WATCH_EVERY)
                    for name in self._market.revive():
                        self._console.print(f"{name} had died and was started again", style="yellow")
            except KeyboardInterrupt:
                self._console.print("stopping")
                return 0
            finally:
                self._market.stop()
