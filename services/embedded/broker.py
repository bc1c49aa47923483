"""The embedded MQTT broker: amqtt on the loopback interface, with a door, and with its faults fenced.

Run by the supervisor as ``python -m services.embedded.broker``; MQTT_PORT names the port. It speaks MQTT
3.1.1. Who may enter it says metering's database, where it looks for changes a few times a second.
"""

import asyncio
import logging
import signal
import sys
from collections.abc import ItemsView, Iterator
from typing import Any

from amqtt.adapters import ReaderAdapter, StreamWriterAdapter, WriterAdapter
from amqtt.broker import Broker
from amqtt.contexts import Action, BrokerConfig, ListenerConfig
from amqtt.errors import AMQTTError
from amqtt.mqtt.connack import NOT_AUTHORIZED, ConnackPacket
from amqtt.mqtt.protocol.broker_handler import BrokerProtocolHandler
from amqtt.session import ApplicationMessage, Session

from hireling.rental.broker_users import INGEST
from services.chassis.clock import SystemClock
from services.chassis.database import DATABASE_DOWN, Database, open_database
from services.chassis.logging import configure_logging, get_logger
from services.chassis.mqtt_settings import MqttSettings
from services.chassis.settings import DatabaseSettings
from services.embedded.door import Door, RuledDoor
from services.embedded.fences import FencedHandler
from services.embedded.framing import WholePackets
from services.embedded.settings import EmbeddedSettings
from services.metering.access import hash_of
from services.metering.accounts import Accounts, Change

Subscribers = list[tuple[Session, int]]

LOOK_SECONDS = 0.25
DATABASE_RETRY_SECONDS = 1.0
CONNECTIONS = 1_000
# Messages that came and are on their way to nobody yet; beyond, their senders wait.
LONGEST_QUEUE = 1_000
ADMITTED_BY = "hireling.admitted_by"

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


class Broadcast(dict[str, Any]):
    """A message on its way to its subscribers."""

    def __repr__(self) -> str:
        """Return its topic alone: amqtt writes out each message for a log that nobody keeps."""
        return f"Broadcast({self.get('topic')})"


class Broadcasts(asyncio.Queue[dict[str, Any]]):
    """Messages on their way, in the order in which they came."""

    def _put(self, item: dict[str, Any]) -> None:
        super()._put(Broadcast(item))


class LocalBroker(Broker):
    """amqtt 0.12.1 with a door, and without the faults that lose or leak messages."""

    def __init__(self, *, host: str, port: int, door: Door) -> None:
        listener = ListenerConfig(bind=f"{host}:{port}", max_connections=CONNECTIONS)
        super().__init__(BrokerConfig(listeners={"default": listener}, plugins={}))
        self._subscriptions = Subscriptions()
        self._broadcast_queue = Broadcasts(LONGEST_QUEUE)
        self._door = door

    @property
    def port(self) -> int:
        """Return the port it listens on, also where the system chose it."""
        number: int = self._servers["default"].instance.sockets[0].getsockname()[1]
        return number

    def expel(self) -> int:
        """End the connection of everybody who would not be let in now; return how many that were."""
        expelled = 0
        for session, handler in list(self._sessions.values()):
            by = session.attributes.get(ADMITTED_BY, "")
            if session.transitions.is_connected() and not self._door.still_admits(session.username or "", by):
                session.will_flag = False
                hang_up(handler)
                expelled += 1
        return expelled

    # -- coming in -------------------------------------------------------------------------------------------

    async def stream_connected(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, listener_name: str
    ) -> None:
        """Serve a connection, and close its socket however that ends.

        amqtt leaves it open where the client is gone before its last bytes were written.
        """
        packets = WholePackets(reader)
        try:
            await self._client_connected(listener_name, packets, StreamWriterAdapter(writer))
        finally:
            writer.close()
            if packets.reason:
                _log.info("client_cut_off", reason=packets.reason)

    async def _initialize_client_session(
        self, reader: ReaderAdapter, writer: WriterAdapter, remote_address: str, remote_port: int
    ) -> tuple[BrokerProtocolHandler, Session]:
        """Let a client in, or send it away before anything of it touches what others have.

        amqtt takes over the session that the client names, or deletes it, and only then asks for a password.
        Here a name that a client gives itself is its own, whoever else has the same; and nothing is kept for
        it after it leaves.
        """
        try:
            handler, session = await FencedHandler.init_from_connect(reader, writer, self.plugins_manager)
        except Exception as error:
            # Whatever is wrong with it, amqtt counts the connection out only for errors of its own.
            raise AMQTTError(f"no client: {error}") from error
        by = self._door.admit(session.username, session.password)
        session.password = None
        may_leave_a_will = session.will_topic is None or self._door.may_say(
            session.username or "", session.will_topic
        )
        is_whole = not isinstance(reader, WholePackets) or reader.is_read_up
        if by is None or not may_leave_a_will or not is_whole:
            await ConnackPacket.build(0, NOT_AUTHORIZED).to_stream(writer)
            raise AMQTTError(
                f"{session.username or 'somebody'} from {remote_address}:{remote_port} stays out"
            )
        session.client_id = f"{session.username} {session.client_id}"
        session.clean_session, session.parent = True, 0
        session.attributes[ADMITTED_BY] = by
        if isinstance(reader, WholePackets):
            reader.promise(session.keep_alive)
        session.keep_alive = 0  # the reader sees to it
        await self._end_session(session.client_id)
        return handler, session

    async def _end_session(self, client_id: str) -> None:
        """End the connection that this client had before."""
        _, before = self._sessions.get(client_id, (None, None))
        if before is not None:
            hang_up(before)
            await before.stop()
        await self._delete_session(client_id)

    async def _authenticate(self, session: Session, _: ListenerConfig) -> bool:
        return ADMITTED_BY in session.attributes

    # -- saying and hearing ----------------------------------------------------------------------------------

    async def _topic_filtering(self, session: Session, topic: str, action: Action) -> bool:
        username = session.username or ""
        if action is Action.PUBLISH:
            return self._door.may_say(username, topic)
        if action is Action.SUBSCRIBE:
            return self._door.may_ask_for(username, topic)
        return self._door.may_hear(username, topic)

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
        # Messages of quality 0, which alone are put in here, are dropped beyond.
        super().__init__(LONGEST_QUEUE)
        self._broker, self._session, self._handler = broker, session, handler

    async def put(self, item: ApplicationMessage) -> None:
        """Hand the message over; when this returns, it is on its way to every subscriber."""
        await self._broker.hand_over(item, self._session, self._handler)


def hang_up(handler: BrokerProtocolHandler) -> None:
    """End a client's connection at once."""
    if isinstance(handler, FencedHandler):
        handler.hang_up()


async def keep_door(broker: LocalBroker, accounts: Accounts, database: Database) -> None:
    """Follow who may enter, and expel who no longer may, until cancelled."""
    clock = SystemClock()
    while True:
        pause = LOOK_SECONDS
        try:
            change = await asyncio.to_thread(accounts.refresh, database, now=clock.now())
            if change is not Change.NONE and (expelled := broker.expel()):
                _log.info("clients_expelled", count=expelled)
        except DATABASE_DOWN as error:
            # Who is in stays in; nobody new comes in.
            _log.warning("database_lost", reason=str(error)[:300], retry_seconds=DATABASE_RETRY_SECONDS)
            pause = DATABASE_RETRY_SECONDS
        await asyncio.sleep(pause)


async def serve(*, host: str, port: int, own: dict[str, str], database: Database) -> None:
    """Serve until SIGTERM or SIGINT."""
    stopping = asyncio.Event()
    loop = asyncio.get_running_loop()
    for name in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(name, stopping.set)
    accounts = Accounts()
    broker = LocalBroker(host=host, port=port, door=RuledDoor(own, accounts))
    await broker.start()
    keeping = asyncio.create_task(keep_door(broker, accounts, database))
    _log.info("broker_started", host=host, port=broker.port)
    await stopping.wait()
    keeping.cancel()
    await asyncio.gather(keeping, return_exceptions=True)
    await broker.shutdown()
    _log.info("broker_stopped")


def own_accounts(mqtt: MqttSettings) -> dict[str, str]:
    """Return the platform's own users, with what is kept of their passwords."""
    username, password = mqtt.credentials
    return {INGEST: hash_of(password)} if username == INGEST and password else {}


def main() -> int:
    """Run the process; return its exit code."""
    configure_logging()
    # amqtt tells every step of every connection.
    for chatty in ("amqtt", "transitions"):
        logging.getLogger(chatty).setLevel(logging.ERROR)
    database = open_database(DatabaseSettings.of("metering").database_url)
    asyncio.run(
        serve(
            host="127.0.0.1",
            port=EmbeddedSettings().mqtt_port,
            own=own_accounts(MqttSettings()),
            database=database,
        )
    )
    database.close()
    return 0


if __name__ == "__main__":
    sys.exit(main())
