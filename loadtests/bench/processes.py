"""What /proc tells of processes: their family, processor time and memory."""

import contextlib
import os
import signal
import subprocess
import threading
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

SAMPLE_SECONDS = 0.5


def family(pid: int) -> list[int]:
    """Return a process and all that descend from it and are alive."""
    children: dict[int, list[int]] = {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            with contextlib.suppress(OSError, ValueError):  # it ended while we looked
                children.setdefault(int(_stat(int(entry.name))[1]), []).append(int(entry.name))
    found = [pid]
    for each in found:
        found.extend(children.get(each, []))
    return found


def cpu_seconds(pid: int) -> float:
    """Return the processor time that a process has used; nothing where it has ended."""
    with contextlib.suppress(OSError):
        fields = _stat(pid)
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")
    return 0.0


def memory_mib(pid: int) -> float:
    """Return the memory of a process, its share of what it shares with others."""
    with contextlib.suppress(OSError):
        for line in Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines():
            if line.startswith("Pss:"):
                return int(line.split()[1]) / 1024
    return 0.0


class Watch:
    """The most memory that a process and its children held together, looked at twice a second."""

    def __init__(self, pid: int) -> None:
        self._pid = pid
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._look, daemon=True)
        self.peak_mib = 0.0
        self._thread.start()

    def _look(self) -> None:
        while True:
            self.peak_mib = max(self.peak_mib, sum(memory_mib(pid) for pid in family(self._pid)))
            if self._stop.wait(SAMPLE_SECONDS):
                return

    def close(self) -> None:
        """Stop looking."""
        self._stop.set()
        self._thread.join()


@contextlib.contextmanager
def slowed(groups: Sequence[Sequence[int]], *, share: float, period: float = 0.04) -> Iterator[None]:
    """Let groups of processes run this share of the time each, one after the other, by stopping them."""
    over = threading.Event()

    def rule() -> None:
        while not over.is_set():
            for pids in groups:
                _signal_all(pids, signal.SIGCONT)
                over.wait(period * share)
                _signal_all(pids, signal.SIGSTOP)
            over.wait(period * (1 - share * len(groups)))
        for pids in groups:
            _signal_all(pids, signal.SIGCONT)

    ruler = threading.Thread(target=rule, daemon=True)
    for pids in groups:
        _signal_all(pids, signal.SIGSTOP)
    ruler.start()
    try:
        yield
    finally:
        over.set()
        ruler.join()


def wait_for_word(path: Path, word: bytes, process: subprocess.Popen[bytes], *, seconds: float) -> None:
    """Wait until a process has written this word to its log. Raises RuntimeError with the log."""
    deadline = time.monotonic() + seconds
    while word not in path.read_bytes():
        if process.poll() is not None or time.monotonic() > deadline:
            raise RuntimeError(f"the process did not start:\n{path.read_text()}")
        time.sleep(0.05)


def _signal_all(pids: Sequence[int], number: signal.Signals) -> None:
    for pid in pids:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, number)


def _stat(pid: int) -> list[str]:
    return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
