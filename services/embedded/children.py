"""Child processes: started with a log file each, dying with their parent, stopped in order."""

import ctypes
import os
import signal
import socket
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from services.embedded.errors import NotReady, PortBusy

PR_SET_PDEATHSIG = 1  # prctl(2)
DRAIN_SECONDS = 10  # what a child is told that it has; whoever stops a marketplace waits for it
STOP_WITHIN = DRAIN_SECONDS + 10.0  # and what it gets until it is killed
_libc = ctypes.CDLL(None, use_errno=True)


def _die_with_parent() -> None:
    # A supervisor killed by -9 must leave no orphan holding its ports.
    _libc.prctl(PR_SET_PDEATHSIG, signal.SIGTERM)


def require_free_port(port: int, variable: str) -> None:
    """Raise PortBusy, naming the variable that changes the port, when something listens on it."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError as error:
            raise PortBusy(
                f"port {port} is busy ({error.strerror}): stop what listens there or set {variable}"
            ) from error


def inherited(environment: Mapping[str, str]) -> dict[str, str]:
    """Return this process's environment with these variables set."""
    return {**os.environ, **environment}  # noqa: TID251 - a child inherits PATH and the like


def answers(port: int) -> bool:
    """Return whether something accepts connections on this local port."""
    with socket.socket() as probe:
        probe.settimeout(0.5)
        return probe.connect_ex(("127.0.0.1", port)) == 0


@dataclass
class Child:
    """One child: how to start it and how to tell that it is ready."""

    name: str
    command: Sequence[str]
    environment: Mapping[str, str]
    log: Path
    ready: Callable[[], bool] = lambda: True
    before: Callable[[], object] = lambda: None
    ready_within: float = 90.0  # imports alone take 5 s, and much more on a busy machine
    cwd: Path | None = None
    process: subprocess.Popen[bytes] | None = field(default=None, repr=False)

    def start(self) -> None:
        """Do what is to be done before, and start the process; its output is appended to its log."""
        self.before()
        self.log.parent.mkdir(parents=True, exist_ok=True)
        with self.log.open("ab") as log:
            # Its own session: Ctrl-C reaches the supervisor alone, which then stops its children in order.
            self.process = subprocess.Popen(  # noqa: S603 - the command is ours
                list(self.command),
                env=inherited(self.environment),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                cwd=self.cwd,
                start_new_session=True,
                preexec_fn=_die_with_parent,  # noqa: PLW1509 - the supervisor has one thread
            )

    @property
    def running(self) -> bool:
        """Return whether the process lives."""
        return self.process is not None and self.process.poll() is None

    def wait_ready(self) -> None:
        """Wait until the child is ready; raise NotReady with the end of its log when it is not in time."""
        deadline = time.monotonic() + self.ready_within
        while time.monotonic() < deadline:
            if not self.running:
                code = self.process.returncode if self.process else None
                raise NotReady(f"{self.name} ended with exit code {code} while starting\n{self.tail()}")
            if self.ready():
                return
            time.sleep(0.05)
        raise NotReady(f"{self.name} was not ready within {self.ready_within:.0f} s\n{self.tail()}")

    def stop(self) -> None:
        """Ask the process to end, and kill it when it does not within the bound."""
        if self.process is None or self.process.poll() is not None:
            return
        self.process.terminate()
        try:
            self.process.wait(STOP_WITHIN)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()

    def kill(self) -> None:
        """Kill the process at once (-9), as a power cut would."""
        if self.process is not None and self.process.poll() is None:
            self.process.kill()
            self.process.wait()

    def tail(self, lines: int = 15) -> str:
        """Return where the log is and its last lines."""
        text = self.log.read_text(errors="replace").splitlines() if self.log.exists() else []
        return "\n".join([f"last lines of {self.log}:", *(f"  {line}" for line in text[-lines:])])
