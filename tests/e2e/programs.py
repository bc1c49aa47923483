"""The `hireling` command as a child process whose JSON events a test can wait for."""

import json
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

HIRELING = Path(sys.executable).with_name("hireling")
Event = dict[str, Any]


class EndedEarly(AssertionError):
    """The program ended, or time ran out, before the event that the test waits for."""


class Program:
    """One run of `hireling … --json`: its events so far, and the means to wait for the next and to end it."""

    def __init__(self, *arguments: str, log: Path) -> None:
        self.arguments = arguments
        self.events: list[Event] = []
        self._log = log
        self._changed = threading.Condition()
        log.parent.mkdir(parents=True, exist_ok=True)
        with log.open("ab") as errors:
            self.process = subprocess.Popen(
                [str(HIRELING), *arguments, "--json"],
                stdout=subprocess.PIPE,
                stderr=errors,
                stdin=subprocess.DEVNULL,
                text=True,
                start_new_session=True,
            )
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def _read(self) -> None:
        assert self.process.stdout is not None
        with self.process.stdout as lines:
            for line in lines:
                event = json.loads(line)
                with self._changed:
                    self.events.append(event)
                    self._changed.notify_all()
        with self._changed:
            self._changed.notify_all()

    def wait_for(self, name: str, *, within: float, where: Mapping[str, Any] | None = None) -> Event:
        """Return the first event of this name whose fields match; EndedEarly tells what was seen instead."""
        wanted = {"event": name, **(where or {})}
        return self.wait_until(lambda event: wanted.items() <= event.items(), within=within, what=str(wanted))

    def wait_until(self, matches: Callable[[Event], bool], *, within: float, what: str) -> Event:
        """Return the first event that matches."""
        deadline = time.monotonic() + within
        seen = 0
        with self._changed:
            while True:
                for event in self.events[seen:]:
                    if matches(event):
                        return event
                seen = len(self.events)
                remaining = deadline - time.monotonic()
                over = not self._reader.is_alive()
                if remaining <= 0 or over:
                    why = "ended" if over else f"{within:.0f} s passed"
                    raise EndedEarly(f"{self.describe()}: no {what} ({why})\n{self.tail()}")
                self._changed.wait(min(remaining, 0.2))

    def of(self, name: str) -> list[Event]:
        """Return the events of this name so far."""
        return [event for event in self.events if event["event"] == name]

    def join(self, *, within: float) -> int:
        """Wait for the program's end and return its exit code."""
        try:
            code = self.process.wait(within)
        except subprocess.TimeoutExpired as error:
            raise EndedEarly(f"{self.describe()}: runs on after {within:.0f} s\n{self.tail()}") from error
        self._reader.join(5)
        return code

    def kill(self) -> None:
        """Kill it at once (-9)."""
        self.process.kill()
        self.process.wait()
        self._reader.join(5)

    def stop(self) -> None:
        """Stop it as Ctrl-C would, and kill it where that does not help."""
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
            try:
                self.process.wait(10)
            except subprocess.TimeoutExpired:
                self.kill()
        self._reader.join(5)

    def describe(self) -> str:
        """Return the command line."""
        return f"hireling {' '.join(self.arguments)}"

    def tail(self) -> str:
        """Return the last events and the end of what it wrote to standard error."""
        events = "\n".join(json.dumps(event) for event in self.events[-12:])
        errors = self._log.read_text(errors="replace")[-3000:] if self._log.exists() else ""
        return f"last events:\n{events}\nstandard error:\n{errors}"


@contextmanager
def running(*arguments: str, log: Path) -> Iterator[Program]:
    """Run the program for the length of the block."""
    program = Program(*arguments, log=log)
    try:
        yield program
    finally:
        program.stop()


def run_to_end(*arguments: str, log: Path, within: float) -> tuple[int, list[Event]]:
    """Run the program to its end; return its exit code and events."""
    program = Program(*arguments, log=log)
    try:
        return program.join(within=within), program.events
    finally:
        program.stop()


def plain(*arguments: str, within: float = 30.0) -> subprocess.CompletedProcess[str]:
    """Run `hireling` as a person would, without --json."""
    return subprocess.run(
        [str(HIRELING), *arguments], capture_output=True, text=True, timeout=within, check=False
    )
