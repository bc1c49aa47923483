"""A WSGI server for the embedded platform: the gateway shares the process of the Nameko services."""

from collections.abc import Callable
from typing import TYPE_CHECKING

import eventlet
import eventlet.wsgi

from services.chassis.logging import get_logger

if TYPE_CHECKING:
    from _typeshed.wsgi import WSGIApplication

log = get_logger()
MAX_STREAMS = 1000  # greenlets: one per open request, live streams included


def serve(
    app: "WSGIApplication", *, host: str, port: int, unreadable: Callable[[int, str | None], bytes]
) -> None:
    """Serve this application on greenlets; returns only when its socket is closed.

    ``unreadable`` makes the answer to what is no request, of its status and what is wrong with it.
    """

    class Connection(eventlet.wsgi.HttpProtocol):
        def send_error(self, code: int, message: str | None = None, explain: str | None = None) -> None:
            """Answer as the application would, where the standard library answers in HTML."""
            log.info("request_unreadable", status=int(code))
            self.wfile.write(unreadable(int(code), message))
            self.close_connection = True

    listener = eventlet.listen((host, port), reuse_port=False)
    log.info("gateway_listening", host=host, port=port)
    eventlet.wsgi.server(
        listener, app, log_output=False, max_size=MAX_STREAMS, debug=False, protocol=Connection
    )
