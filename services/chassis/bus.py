"""A connection to the message bus: RabbitMQ, or the one within this process.

kombu finds the latter by its name, and only where it is asked for: whoever talks to RabbitMQ alone loads
nothing of it, nor eventlet, which it waits with.
"""

from contextlib import suppress

from kombu import Connection
from kombu.exceptions import OperationalError
from kombu.transport import TRANSPORT_ALIASES

from services.chassis.bus_tls import SCHEME, Untrusted, untrusted
from services.chassis.settings import MEMORY_SCHEME, is_memory
from services.messages.errors import OperatorError

CONNECT_TIMEOUT_SECONDS = 5.0
HEARTBEAT_SECONDS = 30

TRANSPORT_ALIASES[MEMORY_SCHEME] = "services.chassis.memory_transport:MemoryTransport"


def connect(amqp_uri: str, *, heartbeat: int = 0) -> Connection:
    """Return a new open connection to the bus, with publisher confirms.

    With a `heartbeat` (seconds) the caller must call ``heartbeat_check`` every second, or the broker hangs
    up; without one, nobody hangs up on an idle connection. Raises OperationalError or OSError when the bus
    cannot be reached, Untrusted where its certificate does not hold.
    """
    connection = Connection(
        amqp_uri,
        connect_timeout=CONNECT_TIMEOUT_SECONDS,
        heartbeat=0 if is_memory(amqp_uri) else heartbeat,
        transport_options={"confirm_publish": True},
    )
    try:
        connection.connect()
    except connection.connection_errors as error:
        raise untrusted(error) or OperationalError(str(error)) from error
    return connection


def knock(amqp_uri: str) -> None:
    """Connect to the bus and hang up.

    Raises OperationalError or OSError when it cannot be reached, OperatorError where it can and its
    certificate does not hold: waiting does not help.
    """
    try:
        connect(amqp_uri).release()
    except Untrusted as error:
        raise OperatorError("broker_untrusted", str(error)) from error


def require_trust(amqp_uri: str) -> None:
    """Raise OperatorError where the bus is there over TLS and its certificate does not hold."""
    if amqp_uri.startswith(f"{SCHEME}:"):
        with suppress(OperationalError, OSError):
            knock(amqp_uri)
