"""How a process leaves: within its time, whatever still waits in it.

A drain waits for servers, and one that is gone never answers. What is broken off then is not lost, since
nothing of it was acknowledged: an event is delivered again, a database rolls back what was not committed, a
machine sends its reading again, and a caller hears that the outcome is unknown.
"""

import asyncio
import os
import signal
import threading
from collections.abc import Awaitable, Callable, Sequence
from types import FrameType, ModuleType

from services.chassis.logging import write_past_locks
from services.chassis.settings import DrainSettings

EXIT_UNDRAINED = 75  # EX_TEMPFAIL of sysexits.h: what was under way comes again
# A log that nobody reads any more takes no line, and holds up no end.
TELL_SECONDS = 1.0

StillOpen = Callable[[], Sequence[str]]


class Departure:
    """The time that a process has to end, counted from `begin` on.

    By a thread of the operating system's: it ends the process too where no greenlet gets to run any more.
    """

    def __init__(
        self,
        process: str,
        *,
        still_open: StillOpen,
        seconds: float | None = None,
        threads: ModuleType = threading,
    ) -> None:
        """Take `threads` of a process that is patched for greenlets: the module as it was before."""
        self._process = process
        self._still_open = still_open
        self._seconds = DrainSettings().drain_seconds if seconds is None else seconds
        self._threads = threads
        self._begun = False

    def begin(self, *, code: int = EXIT_UNDRAINED) -> None:
        """From now on the process has so long to end by itself; then it ends with this code. Once."""
        if self._begun:
            return
        self._begun = True
        countdown = self._threads.Timer(self._seconds, self._end, [code])
        countdown.daemon = True  # who ends in time does not wait for it
        countdown.start()

    def on_signals(self, stop: Callable[[], object]) -> None:
        """Begin, and call `stop`, when told to end by SIGTERM or SIGINT."""

        def leave(_signal: int, _frame: FrameType | None) -> None:
            if not self._begun:
                self.begin()
                stop()

        for name in (signal.SIGTERM, signal.SIGINT):
            signal.signal(name, leave)

    async def of(self, run: Callable[[], Awaitable[None]], *, stop: Callable[[], None]) -> None:
        """Run what `stop` ends in an event loop, until told to end by SIGTERM or SIGINT."""
        loop = asyncio.get_running_loop()
        self.on_signals(lambda: loop.call_soon_threadsafe(stop))
        await run()

    def _end(self, code: int) -> None:
        try:
            telling = self._threads.Thread(target=self._tell, args=[code], daemon=True)
            telling.start()
            telling.join(TELL_SECONDS)
        finally:
            os._exit(code)

    def _tell(self, code: int) -> None:
        write_past_locks(
            __name__,
            "drain_broken_off",
            process=self._process,
            seconds=self._seconds,
            exit_code=code,
            still_open=self._open_now(),
        )

    def _open_now(self) -> list[str]:
        try:
            return list(self._still_open())
        except Exception as error:  # noqa: BLE001 - it is read while others change it; that it could not be is told
            return [f"could not be told: {error!r}"]
