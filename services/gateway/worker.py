"""gunicorn's worker, which answers what never becomes a request as the gateway answers everything else."""

from collections.abc import Mapping
from contextlib import suppress
from typing import Any

from gunicorn import util
from gunicorn.http import errors
from gunicorn.workers.gthread import ThreadWorker

from services.chassis.logging import get_logger
from services.gateway.unreadable import answer_of

# As gunicorn has them; whatever else it cannot read is a bad request.
_STATUSES: Mapping[type[Exception], int] = {
    errors.ForbiddenProxyRequest: 403,
    errors.LimitRequestLine: 414,
    errors.ExpectationFailed: 417,
    errors.LimitRequestHeaders: 431,
    errors.UnsupportedTransferCoding: 501,
}
# It finds these, too, while it reads and writes: they are no caller's doing.
_OURS = (errors.ConfigurationProblem, errors.InvalidResponseHeader, errors.InvalidResponseHeaderName)

_log = get_logger(__name__)


class Worker(ThreadWorker):  # type: ignore[misc]  # gunicorn publishes no hints
    """Threads that answer in problem+json, where gunicorn's own answer in HTML."""

    def handle_error(self, req: Any, client: Any, addr: Any, exc: Exception) -> None:
        """Answer a request that could not be read, or whose answer failed outside of the application."""
        if isinstance(exc, errors.ParseException) and not isinstance(exc, _OURS):
            _log.info("request_unreadable", reason=type(exc).__name__)
            status, detail = _STATUSES.get(type(exc), 400), str(exc)
        else:
            _log.error("request_failed", code="bug", exc_info=exc)
            status, detail = 500, None
        with suppress(OSError):  # whoever sent it may be gone
            util.write_nonblock(client, answer_of(status, detail))
