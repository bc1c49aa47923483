"""Counts and times what workers do: calls and ticks. Events are counted where they are put aside."""

from time import monotonic
from typing import Any
from weakref import WeakKeyDictionary

from nameko.extensions import DependencyProvider
from nameko.rpc import Rpc
from nameko.timer import Timer

from services.chassis.counts import RPC_SERVED, RPC_SERVED_SECONDS, TIMER_RUNS, outcome_of


class WorkObserver(DependencyProvider):
    """Gives a worker nothing, and looks at its watch."""

    def __init__(self) -> None:
        self._began: WeakKeyDictionary[Any, float] = WeakKeyDictionary()

    def get_dependency(self, worker_ctx: Any) -> None:
        """Give workers nothing."""

    def worker_setup(self, worker_ctx: Any) -> None:
        """Note when the work begins."""
        self._began[worker_ctx] = monotonic()

    def worker_result(self, worker_ctx: Any, result: Any = None, exc_info: Any = None) -> None:
        """Count the work, whatever came of it."""
        seconds = monotonic() - self._began.pop(worker_ctx)
        service, entrypoint = worker_ctx.service_name, worker_ctx.entrypoint
        outcome = outcome_of(None if exc_info is None else exc_info[1])
        if isinstance(entrypoint, Rpc):
            RPC_SERVED.labels(service, entrypoint.method_name, outcome).inc()
            RPC_SERVED_SECONDS.labels(service, entrypoint.method_name).observe(seconds)
        elif isinstance(entrypoint, Timer):
            TIMER_RUNS.labels(service, entrypoint.method_name, outcome).inc()
