"""One door through which messages leave.

It returns only once the bus has the message, and says which of three things went wrong.
"""

import socket
from collections.abc import Sequence
from contextlib import suppress
from typing import Any

from kombu import Connection, Exchange, Producer, Queue
from kombu.exceptions import ChannelError, OperationalError

from services.chassis.bus import connect
from services.messages.errors import OutcomeUnknown, Unavailable

CONFIRM_TIMEOUT_SECONDS = 10.0


class Unroutable(Exception):
    """No queue hears this routing key on this exchange."""


class ConfirmedPublisher:
    """Publishes over a connection of its own, made when first needed and again after each failure.

    Not for two threads at once.

    A connection that answered NO_ROUTE is given up too: its confirm is still to come, and amqp would take it
    for the next message's.
    """

    def __init__(self, amqp_uri: str) -> None:
        self._uri = amqp_uri
        self._connection: Connection | None = None
        self._producer: Producer | None = None

    def publish(
        self,
        body: Any,
        *,
        exchange: Exchange,
        routing_key: str,
        declare: Sequence[Queue | Exchange] = (),
        outlives_bus: bool = True,
        **properties: Any,
    ) -> None:
        """Publish one JSON message and wait for the bus to confirm it.

        What outlives the bus is confirmed once it is on its disk, or handled, whichever comes first.

        Raises Unroutable; Unavailable when it was certainly not sent; OutcomeUnknown when the connection
        broke meanwhile.
        """
        producer = self._connected()
        try:
            producer.publish(
                body,
                serializer="json",
                exchange=exchange,
                routing_key=routing_key,
                declare=list(declare),
                mandatory=True,
                delivery_mode="persistent" if outlives_bus else "transient",
                confirm_timeout=CONFIRM_TIMEOUT_SECONDS,
                **properties,
            )
        except ChannelError as error:
            self.drop()
            if "NO_ROUTE" in str(error):
                raise Unroutable(f"no queue hears {routing_key} on {exchange.name}") from error
            raise OutcomeUnknown("broker_error", f"the broker refused {routing_key}: {error}") from error
        except (OperationalError, OSError, *self._broken) as error:
            self._hang_up()
            raise OutcomeUnknown(
                "connection_lost", f"connection lost while publishing {routing_key}: {error}"
            ) from error

    def drop(self) -> None:
        """Give up the connection; the next message makes a new one."""
        self._producer = None
        connection, self._connection = self._connection, None
        if connection is not None:
            connection.release()

    def _hang_up(self) -> None:
        """Give up the connection without asking the broker.

        One that is out of memory or disk reads nothing from publishers any more, and answers no goodbye.
        """
        if self._connection is not None and self._connection.connected:
            line = getattr(self._connection.connection, "sock", None)
            if line is not None:
                with suppress(OSError):
                    line.shutdown(socket.SHUT_RDWR)
        self.drop()

    def _connected(self) -> Producer:
        if self._producer is None:
            try:
                self._connection = connect(self._uri)
                self._broken = self._connection.connection_errors
                self._producer = Producer(self._connection.channel(), auto_declare=True)
            except (OperationalError, ChannelError, OSError) as error:
                self.drop()
                raise Unavailable(
                    "broker_unreachable", f"cannot reach the message broker: {error}"
                ) from error
        return self._producer
