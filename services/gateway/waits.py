"""Long polls: however many requests wait for news of something, a service is asked for all of them at once.

The request whose turn it is asks and the others look at what it heard; nobody is kept to do it. The longer an
answer takes, the busier are those who give it, and the later they are asked again; later too the longer
nothing happened.
"""

import threading
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from time import monotonic
from typing import Generic, TypeVar

from pydantic import TypeAdapter

from services.chassis.logging import get_logger
from services.chassis.rpc import RpcClient
from services.gateway.settings import GatewaySettings
from services.messages.errors import HirelingError
from services.messages.negotiation import QuoteMark

# An agent answers within some tenths of a second, a person takes longer.
SHORTEST_SECONDS = 0.1
# Asking takes at most so much of the time.
SHARE = 0.1
# The longer nothing happened, the less a tenth of that more matters.
PATIENCE = 8.0
# How often a request looks at what was heard, which costs nobody else anything.
GLANCE_SECONDS = 0.05

_log = get_logger(__name__)

Mark = TypeVar("Mark")


@dataclass(frozen=True)
class _Heard(Generic[Mark]):
    """One answer: how far each thing is that somebody waited for; None where there is no such thing."""

    asked_at: float
    marks: Mapping[str, Mark | None]


class Waits(Generic[Mark]):
    """The requests of this process that wait for news of one kind of thing, by its id.

    ``ask`` returns of each id how far that thing is, and leaves out those that do not exist.
    """

    def __init__(
        self,
        ask: Callable[[Sequence[str]], Mapping[str, Mark]],
        *,
        places: threading.BoundedSemaphore,
        pause: Callable[[float], object],
        longest_between: float,
    ) -> None:
        """``places`` is how many may wait in this process: each holds a thread or greenlet meanwhile."""
        self._places = places
        self._ask = ask
        self._pause = pause
        self._longest_between = longest_between
        # Where greenlets share a thread nobody may wait for a lock: neither is held while another runs, or
        # it is not waited for.
        self._counting = threading.Lock()
        self._asking = threading.Lock()
        self._waiting: Counter[str] = Counter()
        self._heard: _Heard[Mark] = _Heard(asked_at=0.0, marks={})
        self._ask_at = 0.0
        self._news_at = 0.0
        self._is_answered = True

    def wait(
        self,
        name: str,
        is_ahead: Callable[[Mark], bool],
        *,
        seconds: float,
        is_other: Callable[[Mark], bool] = lambda mark: False,
    ) -> None:
        """Return once there is news of this thing or it does not exist, after this time in any case.

        What was heard before this request came may be older than what its caller knows: it is news where it
        ``is_ahead`` of that. What is heard later is news also where it ``is_other``. A service that does not
        answer has no news. Where too many wait already it returns at once.
        """
        if not self._places.acquire(blocking=False):
            return
        with self._counted(name):
            came_at = monotonic()
            while True:
                self._hear_if_due()
                heard = self._heard
                is_fresh = heard.asked_at >= came_at
                mark = heard.marks.get(name)
                if mark is None:
                    is_news = is_fresh and name in heard.marks
                else:
                    is_news = is_ahead(mark) or (is_fresh and is_other(mark))
                if is_news or (left := came_at + seconds - monotonic()) <= 0:
                    return
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
            self._places.release()

    def _hear_if_due(self) -> None:
        if monotonic() >= self._ask_at and self._asking.acquire(blocking=False):
            try:
                self._hear()
            finally:
                self._asking.release()

    def _hear(self) -> None:
        with self._counting:
            names = list(self._waiting)
        began, before, marks = monotonic(), self._heard.marks, dict[str, Mark | None]()
        try:
            found = self._ask(names)
            marks = {name: found.get(name) for name in names}
            self._is_answered = True
        except HirelingError as error:
            # Who waits learns what is wrong by the question that ends its wait.
            if self._is_answered:
                _log.warning("waits_unanswered", error=f"{type(error).__name__}: {error}"[:300])
            self._is_answered = False
        finally:
            now = monotonic()
            if marks != before:
                self._news_at = now
            self._heard = _Heard(asked_at=began, marks=marks)
            between = max(SHORTEST_SECONDS, (now - began) / SHARE, (now - self._news_at) / PATIENCE)
            self._ask_at = now + min(between, self._longest_between)


class LongPolls:
    """The long polls of one gateway: of sessions, and of rentals. All that wait share its places."""

    def __init__(
        self, rpc: RpcClient, settings: GatewaySettings, *, pause: Callable[[float], object]
    ) -> None:
        self._rpc = rpc
        self._settings = settings
        self._pause = pause
        self._places = threading.BoundedSemaphore(settings.max_waits)
        self.quotes = self._asking("negotiation", "quote_marks", QuoteMark)
        self.rentals = self._asking("settlement", "rental_progress", int)

    def _asking(self, service: str, method: str, mark: type[Mark]) -> Waits[Mark]:
        read = TypeAdapter(dict[str, mark])  # type: ignore[valid-type]  # a type that is told at run time

        def ask(names: Sequence[str]) -> Mapping[str, Mark]:
            return read.validate_python(
                self._rpc.call(service, method, names, timeout=self._settings.call_seconds), strict=False
            )

        return Waits(ask, places=self._places, pause=self._pause, longest_between=self._settings.poll_seconds)
