"""A trace for every request: the caller's own where it sends a traceparent, else a new one."""

from flask import Flask, Response, g, request
from structlog.contextvars import bind_contextvars, reset_contextvars

from services.chassis.tracing import TRACEPARENT, begin


def register_tracing(app: Flask) -> None:
    """Trace every request of this application; register it first."""
    app.before_request(_begin)
    app.after_request(_note)
    app.teardown_request(_end)


def _begin() -> None:
    route = request.url_rule.rule if request.url_rule else "unmatched"
    rental_id = (request.view_args or {}).get("rental_id")
    g.log_fields = bind_contextvars(service="gateway")
    g.work = begin(
        f"{request.method} {route}" if request.url_rule else route,
        service="gateway",
        kind="http",
        parent=request.headers.get(TRACEPARENT, ""),
        rental_id=rental_id,
    )


def _note(response: Response) -> Response:
    g.status = response.status_code
    return response


def _end(error: BaseException | None) -> None:
    work = g.pop("work", None)
    if work is None:
        return
    status = g.get("status", 500)
    work.end("failed" if error is not None or status >= 500 else "refused" if status >= 400 else "done")
    reset_contextvars(**g.log_fields)
