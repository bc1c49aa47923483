"""Opening messages: parsing, hashing and recovering signers, in threads, a batch at a time.

Recovering takes most of it, and libsecp256k1 runs without the interpreter's lock.
"""

import asyncio
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor

from services.metering.wire import Incoming, Opened, open_message

# Below this a second thread costs more than it saves.
FEWEST_IN_THREAD = 16


class Opener:
    """Opens messages in its threads, and keeps their order."""

    def __init__(self, *, threads: int, largest_payload: int) -> None:
        self._threads = threads
        self._largest_payload = largest_payload
        self._pool = ThreadPoolExecutor(max_workers=threads, thread_name_prefix="opener")

    async def open(self, batch: Sequence[Incoming]) -> list[Opened]:
        """Return each message opened, in the same order."""
        size = max(FEWEST_IN_THREAD, -(-len(batch) // self._threads))
        loop = asyncio.get_running_loop()
        parts = await asyncio.gather(
            *(
                loop.run_in_executor(self._pool, self._open, batch[start : start + size])
                for start in range(0, len(batch), size)
            )
        )
        return [opened for part in parts for opened in part]

    def _open(self, batch: Sequence[Incoming]) -> list[Opened]:
        return [open_message(incoming, largest=self._largest_payload) for incoming in batch]

    def close(self) -> None:
        """End the threads."""
        self._pool.shutdown()
