"""Where servers live: a folder that goes with them, or one that keeps their data, ports and passwords."""

import contextlib
import fcntl
import hashlib
import json
import os
import secrets
import shutil
import signal
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from servers import INFRA, StackError, free_ports

TEST_LOGS = INFRA.parent / "build" / "test" / "stack"
# The users that servers run as when root starts them may enter it, as they may not enter a private tree.
ROOTS_OWN = Path("/var/lib/hireling-stack")
STOPPED_WITHIN = 120.0  # seconds for services and servers to drain


@dataclass(frozen=True, kw_only=True)
class Place:
    """A folder for the servers, with what a server of theirs must be told."""

    root: Path
    logs: Path
    password: str
    ports: list[int]

    @property
    def control(self) -> Path:
        """Return the file that names the running servers."""
        return self.root / "control.json"


@contextlib.contextmanager
def passing() -> Iterator[Place]:
    """Give servers a place for the length of the block."""
    shutil.rmtree(TEST_LOGS, ignore_errors=True)
    root = Path(tempfile.mkdtemp(prefix="hireling-stack-"))
    root.chmod(0o755)
    try:
        yield Place(root=root, logs=TEST_LOGS, password=secrets.token_hex(16), ports=free_ports(5))
    finally:
        shutil.rmtree(root)


@contextlib.contextmanager
def kept(folder: Path) -> Iterator[Place]:
    """Give servers the place that this folder keeps, made where it is new; hold it during the block.

    Raises StackError where another process holds it. The lock is the kernel's: who is killed leaves none.
    """
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    with _pid_file(folder).open("a+") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise StackError(f"a stack already runs on {folder}: `make down-stack` stops it") from error
        file.truncate(0)
        file.write(str(os.getpid()))
        file.flush()
        yield _place(folder, _root(folder))
        file.truncate(0)


def stop(folder: Path) -> str:
    """Stop what holds this folder and wait for its end; return what to tell the person."""
    if (pid := _holder(folder)) is None:
        return f"no stack runs on {folder}"
    os.kill(pid, signal.SIGTERM)
    deadline = time.monotonic() + STOPPED_WITHIN
    while _holder(folder) is not None:
        if time.monotonic() > deadline:
            raise StackError(f"process {pid} did not stop within {STOPPED_WITHIN:.0f} s")
        time.sleep(0.1)
    return "stopped"


def _holder(folder: Path) -> int | None:
    path = _pid_file(folder)
    if not path.exists():
        return None
    with path.open("a+") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return int(path.read_text() or "0") or None
    return None


def _pid_file(folder: Path) -> Path:
    return folder / "stack.pid"


def _root(folder: Path) -> Path:
    link = folder / "servers"
    if not link.exists():
        root = link
        if os.geteuid() == 0:
            root = ROOTS_OWN / hashlib.sha256(str(folder.absolute()).encode()).hexdigest()[:12]
            link.symlink_to(root)
        root.mkdir(parents=True)
        root.chmod(0o755)
    return link.resolve()


def _place(folder: Path, root: Path) -> Place:
    path = folder / "servers.json"
    if not path.exists():
        draft = path.with_suffix(".new")
        draft.touch(mode=0o600)
        draft.write_text(json.dumps({"password": secrets.token_hex(16), "ports": free_ports(5)}))
        draft.replace(path)
    return Place(root=root, logs=folder / "logs", **json.loads(path.read_text()))
