"""Greenlets: how they run beside each other and wait, whether or not the process is patched."""

from collections.abc import Callable, Iterable, Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import Any, TypeVar

import eventlet
from eventlet import tpool
from eventlet.event import Event
from eventlet.greenpool import GreenPool
from eventlet.semaphore import Semaphore

Asked = TypeVar("Asked")
Result = TypeVar("Result")


def beside(reckon: Callable[[], Result]) -> Result:
    """Return what `reckon` returns, from a thread of its own: for reckoning that takes seconds.

    Greenlets go on meanwhile. It must touch nothing of theirs: no session, no lock, no call.
    """
    result: Result = tpool.execute(reckon)
    return result


def at_once(ask: Callable[[Asked], Result], about: Iterable[Asked], *, most: int) -> list[Result]:
    """Return what `ask` returns of each, in their order, so many greenlets at a time at most.

    For calls that wait for somebody's answer. Once all have one, raises what the first of them raised.
    """
    errors: list[Exception] = []

    def asked(each: Asked) -> list[Result]:
        # An error that left its greenlet would be printed, and leave the others waiting for ever.
        try:
            return [ask(each)]
        except Exception as error:  # noqa: BLE001 - raised below
            errors.append(error)
            return []

    answers = [answer for some in GreenPool(most).imap(asked, about) for answer in some]
    if errors:
        raise errors[0]
    return answers


def let_others() -> None:
    """Let other greenlets have their turn between two pieces of long work."""
    eventlet.sleep(0)


class GreenFlag:
    """A flag for greenlets, whether or not the process is patched."""

    def __init__(self) -> None:
        self._event = Event()

    def set(self) -> None:
        """Let everyone through."""
        if not self._event.ready():
            self._event.send("set")

    def clear(self) -> None:
        """Hold back whoever waits from now on."""
        if self._event.ready():
            self._event.reset()

    def is_set(self) -> bool:
        """Return whether it was set."""
        return bool(self._event.ready())

    def wait(self, timeout: float) -> bool:
        """Wait at most `timeout` seconds; return whether it was set."""
        return bool(self._event.wait(timeout))


class GreenTurns:
    """Lets greenlets go one after the other, who need not: each waits so many seconds at most."""

    def __init__(self, *, patience: float) -> None:
        self._one, self._patience = Semaphore(1), patience

    @contextmanager
    def taken(self) -> Iterator[None]:
        """Go when the one before is through, or patience is."""
        is_ours = self._one.acquire(timeout=self._patience)
        try:
            yield
        finally:
            if is_ours:
                self._one.release()


class GreenConcurrency:
    """Greenlets."""

    def spawn(self, function: Callable[[], None]) -> None:
        """Run the function in a greenlet."""
        eventlet.spawn(function)

    def lock(self) -> AbstractContextManager[Any]:
        """Return a lock between greenlets."""
        lock: AbstractContextManager[Any] = Semaphore(1)
        return lock

    def flag(self) -> GreenFlag:
        """Return a flag between greenlets."""
        return GreenFlag()
