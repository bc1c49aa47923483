"""The one thread in which ingest asks and changes its database, for as long as that takes."""

import asyncio
import random
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

from services.chassis.database import DATABASE_BUSY, DATABASE_DOWN
from services.chassis.logging import get_logger
from services.messages.errors import Unavailable

DATABASE_RETRY_SECONDS = 1.0
BUSY_RETRY_SECONDS = 0.05

_log = get_logger(__name__)

Result = TypeVar("Result")


class DatabaseThread:
    """Runs queries one after the other, each again and again while the database is down or busy."""

    def __init__(self) -> None:
        self._thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="database")

    async def run(self, query: Callable[[], Result]) -> Result:
        """Return what the query returns, once the database answers it."""
        loop = asyncio.get_running_loop()
        while True:
            try:
                return await loop.run_in_executor(self._thread, _answered, query)
            except DATABASE_DOWN as error:
                if isinstance(error, Unavailable) and error.code == DATABASE_BUSY:
                    # Another writer came between; jittered, so that they do not meet again.
                    await asyncio.sleep(BUSY_RETRY_SECONDS * random.random())
                    continue
                _log.warning("database_lost", reason=str(error)[:300], retry_seconds=DATABASE_RETRY_SECONDS)
                await asyncio.sleep(DATABASE_RETRY_SECONDS)

    def close(self) -> None:
        """End the thread."""
        self._thread.shutdown()


def _answered(query: Callable[[], Result]) -> Result:
    """Return what the query returns. A StopIteration keeps whoever waits for the future for ever."""
    try:
        return query()
    except StopIteration as error:
        raise RuntimeError("a query raised StopIteration") from error
