"""Opening messages: parsing, hashing and recovering signers, many at a time and beside the event loop.

In threads by default, for recovering takes most of it and libsecp256k1 runs without the interpreter's lock;
in processes of their own where the machine is there for it (`opening_process`).
"""

import asyncio
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Protocol

from services.chassis.logging import get_logger
from services.metering.opening_process import OpeningProcess, ProcessLost, open_all, unopenable
from services.metering.settings import MeteringSettings
from services.metering.wire import Incoming, Opened

# One chunk is opened while the next is on its way.
CHUNKS_IN_PROCESS = 2
# As often as this the blame for a process's end may lie with something else than what it was opening.
TRIES = 2

_log = get_logger(__name__)


class Opener(Protocol):
    """Opens chunks of messages, and keeps their order."""

    async def open(self, chunk: Sequence[Incoming]) -> list[Opened]:
        """Return each message opened, in the same order. Raises nothing, whatever they are."""

    async def aclose(self) -> None:
        """Open no more."""


def new_opener(settings: MeteringSettings) -> Opener:
    """Return an opener as the settings ask for."""
    if settings.verify_processes:
        return ProcessOpener(settings)
    return ThreadOpener(settings)


class ThreadOpener:
    """Opens in threads of this process."""

    def __init__(self, settings: MeteringSettings) -> None:
        self._settings = settings
        self._pool = ThreadPoolExecutor(max_workers=settings.verify_threads, thread_name_prefix="opener")

    async def open(self, chunk: Sequence[Incoming]) -> list[Opened]:
        """Return each message opened, in the same order."""
        return await asyncio.get_running_loop().run_in_executor(self._pool, self._open, chunk)

    def _open(self, chunk: Sequence[Incoming]) -> list[Opened]:
        settings = self._settings
        return open_all(chunk, largest=settings.largest_payload, slack_seconds=settings.slack_seconds)

    async def aclose(self) -> None:
        """End the threads."""
        self._pool.shutdown()


class ProcessOpener:
    """Opens in other processes, which it replaces when they end."""

    def __init__(self, settings: MeteringSettings) -> None:
        self._free: asyncio.Queue[OpeningProcess] = asyncio.Queue()
        self._all = [OpeningProcess(settings) for _ in range(settings.verify_processes)]
        for _ in range(CHUNKS_IN_PROCESS):
            for process in self._all:
                self._free.put_nowait(process)

    async def open(self, chunk: Sequence[Incoming]) -> list[Opened]:
        """Return each message opened, in the same order."""
        if not chunk:
            return []
        for tried in range(1, TRIES + 1):
            try:
                return await self._open_somewhere(chunk)
            except ProcessLost as error:
                _log.warning("opening_process_lost", messages=len(chunk), reason=str(error))
                if len(chunk) == 1 and tried == TRIES:
                    return [unopenable(chunk[0], error)]
        middle = len(chunk) // 2
        return [*await self.open(chunk[:middle]), *await self.open(chunk[middle:])]

    async def _open_somewhere(self, chunk: Sequence[Incoming]) -> list[Opened]:
        process = await self._free.get()
        try:
            return await process.open(chunk)
        finally:
            self._free.put_nowait(process)

    async def aclose(self) -> None:
        """End the processes."""
        for process in self._all:
            await process.aclose()
