"""What a process counts and measures, and the port where Prometheus reads it and a supervisor its health.

The one door to prometheus_client. A metric is named ``hireling_<folder>_<what>``, with its unit; its labels
are words of a closed list, never an id: each value of a label is a series that Prometheus keeps.
"""

import json
import threading
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import product
from typing import Any
from wsgiref.simple_server import WSGIRequestHandler, make_server

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, ProcessCollector
from prometheus_client.exposition import ThreadingWSGIServer, make_wsgi_app

from services.chassis.logging import get_logger
from services.chassis.settings import MetricsSettings
from services.messages.errors import OperatorError

LABELS = frozenset(
    {
        "code",  # of a refusal: hireling.rental.errors and metering's own
        "error",  # a kind of trouble
        "event",  # <publisher>.<type>
        "kind",  # of a message or of a transaction
        "method",  # of a service, or of HTTP
        "outcome",  # done, refused, unavailable, unknown or failed, and the escrow's own words
        "route",  # a template of the gateway's, never a path
        "service",  # a folder
        "state",  # of a rental
        "status",  # of HTTP
        "table",  # the outbox or the inbox
        "timer",  # a service's method
        "token",  # the marketplace's one token
    }
)
# From a call within a process to one that waits out its deadline.
SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)

_log = get_logger(__name__)


@dataclass(frozen=True)
class Definition:
    """A metric as Prometheus sees it."""

    name: str
    type: str
    labels: tuple[str, ...]
    description: str


REGISTRY = CollectorRegistry()
DEFINED: list[Definition] = []
"""Every metric of the modules imported so far, in order of definition."""

ProcessCollector(registry=REGISTRY)


def counter(name: str, description: str, *labels: str) -> Counter:
    """Define something that only rises; its name ends in ``_total``."""
    if not name.endswith("_total"):
        raise ValueError(f"{name} counts, so it ends in _total")
    _define(name, "counter", description, labels)
    return Counter(name, description, labels, registry=REGISTRY)


def from_zero(counted: Counter, *values: Iterable[str]) -> None:
    """Show a counter at 0 for each combination of its labels' values.

    One that first appears at 1 has not risen for Prometheus: the first of its kind would never be seen.
    """
    for labels in product(*values):
        counted.labels(*labels)


def gauge(name: str, description: str, *labels: str) -> Gauge:
    """Define something that rises and falls."""
    _define(name, "gauge", description, labels)
    return Gauge(name, description, labels, registry=REGISTRY)


def histogram(name: str, description: str, *labels: str, buckets: Sequence[float] = SECONDS) -> Histogram:
    """Define something that is measured again and again."""
    _define(name, "histogram", description, labels)
    return Histogram(name, description, labels, buckets=buckets, registry=REGISTRY)


def _define(name: str, kind: str, description: str, labels: tuple[str, ...]) -> None:
    if unknown := set(labels) - LABELS:
        raise ValueError(f"{name}: {', '.join(sorted(unknown))} may have values without end")
    DEFINED.append(Definition(name, kind, labels, description))


Health = Callable[[], Mapping[str, Any]]
"""Says how a process is, as a JSON object. Raises where it cannot do its job."""


def serve_metrics(process: str, *, copies: int = 1, health: Health = dict) -> int | None:
    """Serve this process's metrics at /metrics, its health at /health, and return the port.

    Returns None where no port is set for it. Of several `copies` each takes the first free port from the set
    one on. Raises OperatorError where none is free.
    """
    settings = MetricsSettings.of(process)
    if settings.port is None:
        return None
    reason = ""
    for port in range(settings.port, settings.port + copies):
        try:
            server = make_server(settings.host, port, _app(health), ThreadingWSGIServer, _SilentHandler)
        except OSError as error:
            reason = str(error)
            continue
        threading.Thread(target=server.serve_forever, name="metrics", daemon=True).start()
        _log.info("metrics_listening", process=process, host=settings.host, port=port)
        return port
    raise OperatorError("metrics_port_busy", f"{process}: no metrics on port {settings.port}: {reason}")


class _SilentHandler(WSGIRequestHandler):
    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - the library's name
        """Say nothing: it is asked every few seconds."""


def _app(health: Health) -> Callable[..., Iterable[bytes]]:
    metrics: Callable[..., Iterable[bytes]] = make_wsgi_app(REGISTRY)

    def app(environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        if environ["PATH_INFO"] != "/health":
            return metrics(environ, start_response)
        try:
            status, answer = "200 OK", health()
        except Exception as error:  # noqa: BLE001 - whatever it was, this process cannot do its job
            status, answer = "503 Service Unavailable", {"error": str(error)}
        start_response(status, [("Content-Type", "application/json")])
        return [json.dumps(answer).encode()]

    return app
