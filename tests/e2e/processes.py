"""What runs on this machine, as the kernel tells it, and waiting for it to change."""

import time
from collections.abc import Callable
from pathlib import Path


def told(process: int, what: str) -> bytes:
    """Return what the kernel tells of a process, nothing of one that ended or is not ours to read."""
    try:
        return Path(f"/proc/{process}/{what}").read_bytes()
    except OSError:
        return b""


def with_environment(*marks: bytes) -> list[int]:
    """Return the processes in whose environment one of these stands, whatever started them."""
    everyone = [int(entry.name) for entry in Path("/proc").iterdir() if entry.name.isdigit()]
    return [process for process in everyone if any(mark in told(process, "environ") for mark in marks)]


def until(condition: Callable[[], bool], *, within: float) -> None:
    """Wait until the condition holds; fail at the deadline."""
    deadline = time.monotonic() + within
    while not condition():
        assert time.monotonic() < deadline, f"not within {within:.0f} s"
        time.sleep(0.05)
