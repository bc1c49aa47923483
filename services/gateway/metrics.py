"""What the gateway counts: requests by route, never by path, since a path holds ids."""

from time import monotonic

from flask import Flask, Response, g, request

from services.chassis.metrics import counter, gauge, histogram

REQUESTS = counter(
    "hireling_gateway_requests_total",
    "HTTP requests answered; what no route matches is `unmatched`.",
    "method", "route", "status",
)  # fmt: skip
REQUEST_SECONDS = histogram(
    "hireling_gateway_request_seconds",
    "How long a request took; of a live stream, until it began.",
    "method",
    "route",
)
STREAMS = gauge("hireling_gateway_streams", "Live streams that are open now.")

METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})


def register_metrics(app: Flask) -> None:
    """Count every request of this application; register it before whatever may answer early."""
    app.before_request(_begin)
    app.after_request(_count)


def _begin() -> None:
    g.began = monotonic()


def _count(response: Response) -> Response:
    route = request.url_rule.rule if request.url_rule else "unmatched"
    # Anybody may call a method anything.
    method = request.method if request.method in METHODS else "other"
    REQUESTS.labels(method, route, str(response.status_code)).inc()
    REQUEST_SECONDS.labels(method, route).observe(monotonic() - g.began)
    return response
