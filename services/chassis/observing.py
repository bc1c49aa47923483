"""What is seen of each worker: its trace, the fields of its logs, how long it took and what came of it.

Events are counted where they are put aside.
"""

import inspect
from collections.abc import Callable, Mapping
from contextvars import Token
from dataclasses import dataclass
from functools import lru_cache
from time import monotonic
from typing import Any
from weakref import WeakKeyDictionary

from nameko.extensions import DependencyProvider
from nameko.rpc import Rpc
from nameko.timer import Timer
from structlog.contextvars import bind_contextvars, reset_contextvars

from services.chassis.counts import RPC_SERVED, RPC_SERVED_SECONDS, TIMER_RUNS, outcome_of
from services.chassis.tracing import TRACEPARENT, Work, begin, is_rental_id
from services.messages.event import Event


@dataclass(frozen=True)
class _Seen:
    began: float
    work: Work | None
    fields: Mapping[str, Token[Any]]


class WorkObserver(DependencyProvider):
    """Gives a worker nothing, and looks on."""

    def __init__(self) -> None:
        self._seen: WeakKeyDictionary[Any, _Seen] = WeakKeyDictionary()

    def get_dependency(self, worker_ctx: Any) -> None:
        """Give workers nothing."""

    def worker_setup(self, worker_ctx: Any) -> None:
        """Go on with the trace that the call or event came with, in this worker's greenlet."""
        service, entrypoint = worker_ctx.service_name, worker_ctx.entrypoint
        rental_id = _rental_of(worker_ctx)
        about = {} if rental_id is None else {"rental_id": rental_id}
        fields = bind_contextvars(service=service, entrypoint=entrypoint.method_name, **about)
        # A timer ticks many a time for nothing: what it does to a rental is work of its own.
        work = None if isinstance(entrypoint, Timer) else _begin(worker_ctx, rental_id)
        self._seen[worker_ctx] = _Seen(monotonic(), work, fields)

    def worker_result(self, worker_ctx: Any, result: Any = None, exc_info: Any = None) -> None:
        """Count the work, whatever came of it."""
        seen = self._seen.pop(worker_ctx)
        outcome = outcome_of(None if exc_info is None else exc_info[1])
        self._count(worker_ctx, outcome, seconds=monotonic() - seen.began)
        if seen.work is not None:
            seen.work.end(outcome)
        reset_contextvars(**seen.fields)

    def _count(self, worker_ctx: Any, outcome: str, *, seconds: float) -> None:
        service, entrypoint = worker_ctx.service_name, worker_ctx.entrypoint
        if isinstance(entrypoint, Rpc):
            RPC_SERVED.labels(service, entrypoint.method_name, outcome).inc()
            RPC_SERVED_SECONDS.labels(service, entrypoint.method_name).observe(seconds)
        elif isinstance(entrypoint, Timer):
            TIMER_RUNS.labels(service, entrypoint.method_name, outcome).inc()


def _begin(worker_ctx: Any, rental_id: str | None) -> Work:
    service, entrypoint = worker_ctx.service_name, worker_ctx.entrypoint
    return begin(
        f"{service}.{entrypoint.method_name}",
        service=service,
        kind="rpc" if isinstance(entrypoint, Rpc) else "event",
        parent=worker_ctx.data.get(TRACEPARENT, ""),
        rental_id=rental_id,
    )


def _rental_of(worker_ctx: Any) -> str | None:
    """Return the rental that a call or an event names, 0x-hex."""
    arguments = worker_ctx.args
    if arguments and isinstance(arguments[0], Event):
        rental_id = getattr(arguments[0], "rental_id", None)
        return None if rental_id is None else f"0x{rental_id.hex()}"
    method = getattr(type(worker_ctx.service), worker_ctx.entrypoint.method_name)
    named = {**dict(zip(_parameters(method), arguments, strict=False)), **worker_ctx.kwargs}
    found = named.get("rental_id")
    return found if is_rental_id(found) else None


@lru_cache(maxsize=1024)
def _parameters(method: Callable[..., Any]) -> tuple[str, ...]:
    return tuple(inspect.signature(method).parameters)[1:]
