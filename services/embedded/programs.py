"""The `hireling` command as a child of the demo: its JSON events, one a line, in order."""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from queue import Empty, Queue
from threading import Thread
from typing import Any

from services.embedded.children import inherited
from services.embedded.errors import EmbeddedError

HIRELING = Path(sys.executable).with_name("hireling")
END = object()
Event = Mapping[str, Any]


class Program:
    """A run of `hireling … --json`."""

    def __init__(self, name: str, arguments: Sequence[str], *, log: Path) -> None:
        self.name = name
        self._log = log
        self._queue: Queue[Any] = Queue()
        log.parent.mkdir(parents=True, exist_ok=True)
        with log.open("ab") as errors:
            self._process = subprocess.Popen(  # noqa: S603 - the command is ours
                [str(HIRELING), *arguments, "--json"],
                env=inherited({}),
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=errors,
                text=True,
                start_new_session=True,
            )
        Thread(target=self._read, daemon=True).start()

    def _read(self) -> None:
        assert self._process.stdout is not None  # noqa: S101 - it was asked for above
        with self._process.stdout as lines:
            for line in lines:
                self._queue.put(json.loads(line))
        self._queue.put(END)

    def events(self, *, within: float) -> Iterator[Event]:
        """Yield events until the program ends; raise EmbeddedError when none comes for this many seconds."""
        while True:
            try:
                event = self._queue.get(timeout=within)
            except Empty as error:
                raise EmbeddedError(f"{self.name}: silent for {within:.0f} s ({self._log})") from error
            if event is END:
                self._process.wait()
                return
            if event["event"] == "error":
                raise EmbeddedError(f"{self.name}: {event['code']}: {event['detail']}")
            yield event

    def wait_for(self, name: str, *, within: float) -> Event:
        """Return the next event of this name."""
        for event in self.events(within=within):
            if event["event"] == name:
                return event
        raise EmbeddedError(
            f"{self.name}: ended with exit code {self._process.returncode} before {name} ({self._log})"
        )

    def pending(self) -> Iterator[Event]:
        """Yield the events that have come since, without waiting."""
        while not self._queue.empty():
            event = self._queue.get()
            if event is not END:
                yield event

    @property
    def exit_code(self) -> int | None:
        """Return the exit code, or None while it runs."""
        return self._process.poll()

    def stop(self) -> None:
        """Stop it as Ctrl-C would, and kill it where that does not help."""
        if self._process.poll() is None:
            os.kill(self._process.pid, signal.SIGTERM)
            try:
                self._process.wait(10)
            except subprocess.TimeoutExpired:
                self._process.kill()
                self._process.wait()


def verify(bill: Path) -> str:
    """Run `hireling verify` on the bill; return its last line.

    Raises EmbeddedError with what does not hold.
    """
    done = subprocess.run(  # noqa: S603 - the command is ours
        [str(HIRELING), "verify", str(bill)], capture_output=True, text=True, timeout=60, check=False
    )
    if done.returncode != 0:
        raise EmbeddedError(
            f"hireling verify {bill}: exit code {done.returncode}\n{done.stdout}{done.stderr}"
        )
    return done.stdout.strip().splitlines()[-1]
