"""How to wait, by bus: greenlets on the in-process bus, whatever the standard library has become on a broker.

Where the process is patched both are greenlets; an unpatched process (gunicorn's threads, pytest) needs real
threads to talk to RabbitMQ, and greenlets to share one thread with the in-process bus. Only who asks for
greenlets loads eventlet: gunicorn's workers and an operator's verbs do without it.
"""

import threading
from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import Any, Protocol

from services.chassis.settings import is_memory


class Flag(Protocol):
    """Something one side sets and another waits for."""

    def set(self) -> None:
        """Let everyone through."""

    def wait(self, timeout: float) -> bool:
        """Wait at most `timeout` seconds; return whether it was set."""
        ...


class Concurrency(Protocol):
    """A way to run and to wait."""

    def spawn(self, function: Callable[[], None]) -> None:
        """Run the function beside the caller."""

    def lock(self) -> AbstractContextManager[Any]:
        """Return a new lock."""
        ...

    def flag(self) -> Flag:
        """Return a new flag."""
        ...


class ThreadConcurrency:
    """Threads; greenlets in a patched process."""

    def spawn(self, function: Callable[[], None]) -> None:
        """Run the function in a thread that does not keep the process alive."""
        threading.Thread(target=function, daemon=True).start()

    def lock(self) -> AbstractContextManager[Any]:
        """Return a lock between threads."""
        return threading.Lock()

    def flag(self) -> Flag:
        """Return a flag between threads."""
        return threading.Event()


def concurrency_for(amqp_uri: str) -> Concurrency:
    """Return how to wait for this bus."""
    if not is_memory(amqp_uri):
        return ThreadConcurrency()
    from services.chassis.concurrency import GreenConcurrency  # noqa: PLC0415 - see above

    return GreenConcurrency()
