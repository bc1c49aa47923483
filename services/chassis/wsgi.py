"""A WSGI server for the embedded platform: the gateway shares the process of the Nameko services."""

from typing import TYPE_CHECKING

import eventlet
import eventlet.wsgi

from services.chassis.logging import get_logger

if TYPE_CHECKING:
    from _typeshed.wsgi import WSGIApplication

log = get_logger()
MAX_STREAMS = 1000  # greenlets: one per open request, live streams included


def serve(app: "WSGIApplication", *, host: str, port: int) -> None:
    """Serve this application on greenlets; returns only when its socket is closed."""
    listener = eventlet.listen((host, port), reuse_port=False)
    log.info("gateway_listening", host=host, port=port)
    eventlet.wsgi.server(listener, app, log_output=False, max_size=MAX_STREAMS, debug=False)
