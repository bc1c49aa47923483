"""Importing this first makes the process an eventlet process.

The standard library is patched before anybody holds the real one, and psycopg waits as a greenlet: its
default waits in C, which stops every other one (measured: two queries of 1 s took 2.0 s).
"""

import os
from typing import Any

import eventlet

# How it connects, and waits for at most some time. What else it waits for is `_wait`'s.
os.environ.setdefault("PSYCOPG_WAIT_FUNC", "wait_selector")  # noqa: TID251 - not read but set
eventlet.monkey_patch()

from eventlet.green import select  # noqa: E402
from eventlet.hubs import trampoline  # noqa: E402
from psycopg import waiting  # noqa: E402


def _wait(gen: Any, fileno: int, interval: float = 0.0, timeout: float | None = None) -> Any:
    """Run one of psycopg's conversations with its server to the end, and return what it returns.

    By the hub itself: psycopg's own way is through a selector, which eventlet makes anew and of three layers
    for each wait (measured: 100 us of processor time a query against 65). Nothing is looked for at each
    ``interval``: a signal ends a wait, and a connection that broke is ready.
    """
    if timeout is not None:
        return waiting.wait_selector(gen, fileno, interval, timeout)
    try:
        wanted = next(gen)
        while True:
            wanted = gen.send(_ready(fileno, wanted))
    except StopIteration as done:
        return done.value


def _ready(fileno: int, wanted: int) -> int:
    """Wait for this connection to be readable, writable or either, and return which of them it is."""
    if wanted == waiting.WAIT_RW:
        # A pipeline, such as many rows in one statement: the hub waits for one of both alone.
        readable, writable, _ = select.select([fileno], [fileno], [])
        return (waiting.READY_R if readable else 0) | (waiting.READY_W if writable else 0)
    trampoline(fileno, read=wanted == waiting.WAIT_R, write=wanted == waiting.WAIT_W)
    return wanted


waiting.wait = _wait
