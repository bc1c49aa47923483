"""amqtt's side of one connection, with bounds on what is on its way in and out."""

import asyncio
from contextlib import suppress
from typing import Any, NoReturn

from amqtt.errors import ProtocolHandlerError
from amqtt.mqtt.protocol.broker_handler import BrokerProtocolHandler
from amqtt.mqtt.publish import PublishPacket
from amqtt.session import OutgoingApplicationMessage

from services.chassis.logging import get_logger
from services.embedded.framing import WholePackets

# A client that confirms none of so much does not read. Devices say again what nobody acknowledged.
UNCONFIRMED_MESSAGES = 1_000
UNCONFIRMED_BYTES = 8 * 1024 * 1024
# Longer than amqtt waits for a confirmation: what takes so long could not even be written.
SENT_WITHIN_SECONDS = 20.0

_log = get_logger(__name__)


class FencedHandler(BrokerProtocolHandler):
    """A connection that ends where the client does not read what it asked for."""

    def __init__(self, *arguments: Any, **keywords: Any) -> None:
        super().__init__(*arguments, **keywords)
        self._messages = self._bytes = 0

    def hang_up(self) -> None:
        """End the connection at once, without waiting for bytes that the client does not read."""
        stream = getattr(self.writer, "_writer", None)
        if stream is not None:
            stream.transport.abort()

    async def handle_publish(self, publish_packet: PublishPacket) -> None:
        """Hand a message on, and make room for the next."""
        reader = self.reader
        try:
            # Where the connection ends meanwhile, there is nobody left to confirm it to.
            with suppress(ProtocolHandlerError):
                await super().handle_publish(publish_packet)
        finally:
            if isinstance(reader, WholePackets):
                reader.room.release()

    async def mqtt_publish(  # noqa: PLR0917 - amqtt's signature
        self,
        topic: str,
        data: bytes | bytearray,
        qos: int | None,
        retain: bool,  # noqa: FBT001
        ack_timeout: int | None = None,
    ) -> OutgoingApplicationMessage:
        """Send a message.

        amqtt keeps every message in memory until it is confirmed, and waits for ever for a client that does
        not read.
        """
        if self._messages >= UNCONFIRMED_MESSAGES or self._bytes + len(data) > UNCONFIRMED_BYTES:
            self._give_up()
        self._messages += 1
        self._bytes += len(data)
        limit = asyncio.timeout(SENT_WITHIN_SECONDS)
        try:
            async with limit:
                return await super().mqtt_publish(topic, data, qos, retain, ack_timeout)
        except TimeoutError:
            if limit.expired():
                self._give_up()
            raise
        finally:
            self._messages -= 1
            self._bytes -= len(data)

    def _give_up(self) -> NoReturn:
        """Hang up on a client that does not read, and leave the message as undelivered."""
        username = self.session.username if self.session is not None else None
        _log.warning("client_too_slow", username=username, messages=self._messages, bytes=self._bytes)
        self.hang_up()
        raise asyncio.CancelledError
