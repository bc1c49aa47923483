"""The embedded MQTT broker: amqtt on the loopback interface, with its faults fenced.

Run by the supervisor as ``python -m services.embedded.broker``; MQTT_PORT names the port. It speaks MQTT
3.1.1 without authentication, which is why it listens to this machine alone: every message that counts is
signed by whoever sends it.
"""

import asyncio
import logging
import signal
from collections.abc import ItemsView, Iterator

from amqtt.broker import Broker
from amqtt.contexts import BrokerConfig, ListenerConfig
from amqtt.mqtt.protocol.broker_handler import BrokerProtocolHandler
from amqtt.session import ApplicationMessage, Session

from services.chassis.logging import configure_logging, get_logger
from services.embedded.settings import EmbeddedSettings

ANONYMOUS = "amqtt.plugins.authentication.AnonymousAuthPlugin"
Subscribers = list[tuple[Session, int]]

_log = get_logger(__name__)


class Subscriptions(dict[str, Subscribers]):
    """Subscribers by topic filter; iterating sees a copy.

    amqtt awaits while it walks through this dictionary, once for every message. A client that subscribes at
    that moment would break the walk off, and the message would reach none of the subscribers still to come.
    """

    def __iter__(self) -> Iterator[str]:
        return iter(list(super().keys()))

    def items(self) -> ItemsView[str, Subscribers]:  # type: ignore[override]  # typeshed's own view has no name
        """Return the filters and their subscribers as they are now."""
        return {topic: list(subscribers) for topic, subscribers in super().items()}.items()


class LocalBroker(Broker):
    """amqtt 0.12.1 without the faults that lose or leak messages."""

    def __init__(self, *, host: str, port: int) -> None:
        listener = ListenerConfig(bind=f"{host}:{port}")
        super().__init__(
            BrokerConfig(listeners={"default": listener}, plugins={ANONYMOUS: {"allow_anonymous": True}})
        )
        self._subscriptions = Subscriptions()

    @property
    def port(self) -> int:
        """Return the port it listens on, also where the system chose it."""
        number: int = self._servers["default"].instance.sockets[0].getsockname()[1]
        return number

    async def stream_connected(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, listener_name: str
    ) -> None:
        """Serve a connection, and close its socket however that ends.

        amqtt leaves it open where the client is gone before its last bytes were written.
        """
        try:
            await super().stream_connected(reader, writer, listener_name)
        finally:
            writer.close()

    async def _publish_retained_messages_for_subscription(
        self, subscription: tuple[str, int], session: Session
    ) -> None:
        """Send retained messages to a subscriber of this filter only.

        By itself amqtt sends them to every client that connects.
        """
        subscribers = self._subscriptions.get(subscription[0], [])
        if any(subscriber is session for subscriber, _ in subscribers):
            await super()._publish_retained_messages_for_subscription(subscription, session)

    async def _client_message_loop(self, client_session: Session, handler: BrokerProtocolHandler) -> None:
        """Hand each message over before the client hears that it arrived.

        amqtt acknowledges a message when it has queued it within the session, and throws the session's queue
        away when the client disconnects: an acknowledged message would be lost.
        """
        early = client_session.delivered_message_queue
        while not early.empty():
            await self.hand_over(early.get_nowait(), client_session, handler)
        client_session.delivered_message_queue = _Handover(self, client_session, handler)
        await super()._client_message_loop(client_session, handler)

    async def hand_over(
        self, message: ApplicationMessage, session: Session, handler: BrokerProtocolHandler
    ) -> None:
        """Broadcast a client's message, or end the connection of a client that may not send it."""
        arrived: asyncio.Future[ApplicationMessage] = asyncio.Future()
        arrived.set_result(message)
        if not await self._handle_message_delivery(session, handler, arrived):
            await handler.handle_connection_closed()


class _Handover(asyncio.Queue[ApplicationMessage]):
    """A session's queue of received messages that holds none whose arrival the client wants acknowledged."""

    def __init__(self, broker: LocalBroker, session: Session, handler: BrokerProtocolHandler) -> None:
        super().__init__()
        self._broker, self._session, self._handler = broker, session, handler

    async def put(self, item: ApplicationMessage) -> None:
        """Hand the message over; when this returns, it is on its way to every subscriber."""
        await self._broker.hand_over(item, self._session, self._handler)


async def serve(*, host: str, port: int) -> None:
    """Serve until SIGTERM or SIGINT."""
    stopping = asyncio.Event()
    loop = asyncio.get_running_loop()
    for name in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(name, stopping.set)
    broker = LocalBroker(host=host, port=port)
    await broker.start()
    _log.info("broker_started", host=host, port=broker.port)
    await stopping.wait()
    await broker.shutdown()
    _log.info("broker_stopped")


if __name__ == "__main__":
    configure_logging()
    # amqtt tells every step of every connection.
    for chatty in ("amqtt", "transitions"):
        logging.getLogger(chatty).setLevel(logging.WARNING)
    asyncio.run(serve(host="127.0.0.1", port=EmbeddedSettings().mqtt_port))
