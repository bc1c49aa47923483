"""Long polls: however many requests wait for news of something, a service is asked for all of them at once.

The request whose turn it is asks and the others look at what it heard; nobody is kept to do it. The longer an
answer takes, the busier are those who give it, and the later they are asked again.
"""

import threading
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from time import monotonic
from typing import Generic, TypeVar

from services.chassis.rpc import RpcClient
from services.gateway.settings import GatewaySettings
from services.messages.errors import OutcomeUnknown, Unavailable
from services.messages.negotiation import QuoteMark

# An agent answers within some tenths of a second, a person takes longer.
SHORTEST_SECONDS = 0.1
# Asking takes at most so much of the time.
SHARE = 0.1
# How often a request looks at what was heard, which costs nobody else anything.
GLANCE_SECONDS = 0.05

Mark = TypeVar("Mark")


class Waits(Generic[Mark]):
    """The requests of this process that wait for news of one kind of thing, by its id.

    ``ask`` returns of each id how far that thing is, and leaves out those that do not exist.
    """

    def __init__(
        self,
        ask: Callable[[Sequence[str]], Mapping[str, Mark]],
        *,
        pause: Callable[[float], object],
        longest_between: float,
    ) -> None:
        self._ask = ask
        self._pause = pause
        self._longest_between = longest_between
        # Where greenlets share a thread nobody may wait for a lock: neither is held while another runs, or
        # it is not waited for.
        self._counting = threading.Lock()
        self._asking = threading.Lock()
        self._waiting: Counter[str] = Counter()
        self._heard: Mapping[str, Mark | None] = {}
        self._ask_at = 0.0

    def wait(self, name: str, is_news: Callable[[Mark], bool], *, seconds: float) -> None:
        """Return once there is news of this thing or it does not exist, after this time in any case.

        A service that does not answer has no news.
        """
        with self._counted(name):
            until = monotonic() + seconds
            while not self._has_news(name, is_news) and (left := until - monotonic()) > 0:
                self._pause(min(left, GLANCE_SECONDS))

    @contextmanager
    def _counted(self, name: str) -> Iterator[None]:
        with self._counting:
            self._waiting[name] += 1
        try:
            yield
        finally:
            with self._counting:
                self._waiting[name] -= 1
                self._waiting = +self._waiting

    def _has_news(self, name: str, is_news: Callable[[Mark], bool]) -> bool:
        if monotonic() >= self._ask_at and self._asking.acquire(blocking=False):
            try:
                self._hear()
            finally:
                self._asking.release()
        heard = self._heard
        if name not in heard:
            return False
        mark = heard[name]
        return mark is None or is_news(mark)

    def _hear(self) -> None:
        with self._counting:
            names = list(self._waiting)
        began = monotonic()
        try:
            found = self._ask(names)
            self._heard = {name: found.get(name) for name in names}
        except (Unavailable, OutcomeUnknown):
            self._heard = {}
        finally:
            now = monotonic()
            between = max(SHORTEST_SECONDS, (now - began) / SHARE)
            self._ask_at = now + min(between, self._longest_between)


def waits_for_quotes(
    rpc: RpcClient, settings: GatewaySettings, pause: Callable[[float], object]
) -> Waits[QuoteMark]:
    """Return the long polls of sessions."""

    def ask(names: Sequence[str]) -> dict[str, QuoteMark]:
        found = rpc.call("negotiation", "quote_marks", names, timeout=settings.call_seconds)
        return {name: QuoteMark.model_validate(mark, strict=False) for name, mark in found.items()}

    return Waits(ask, pause=pause, longest_between=settings.poll_seconds)


def waits_for_rentals(
    rpc: RpcClient, settings: GatewaySettings, pause: Callable[[float], object]
) -> Waits[int]:
    """Return the long polls of rentals."""

    def ask(names: Sequence[str]) -> dict[str, int]:
        found = rpc.call("settlement", "rental_progress", names, timeout=settings.call_seconds)
        return {name: int(progress) for name, progress in found.items()}

    return Waits(ask, pause=pause, longest_between=settings.poll_seconds)
