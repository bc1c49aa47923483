"""services.chassis.database_thread: whoever waits for a query hears of its end."""

import asyncio
from contextlib import closing

import pytest

from services.chassis.database_thread import DatabaseThread


def test_a_query_that_raises_stop_iteration_keeps_nobody_waiting() -> None:
    nothing = iter(list[int]())

    async def ask() -> None:
        with closing(DatabaseThread()) as thread:
            async with asyncio.timeout(5):
                await thread.run(lambda: next(nothing))

    with pytest.raises(RuntimeError, match="StopIteration"):
        asyncio.run(ask())
