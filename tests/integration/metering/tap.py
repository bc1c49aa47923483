"""A tap on a line to the broker: what passes is handed on as it is, and counted."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from urllib.parse import urlsplit

PUBLISH, PUBACK = 3, 4


class Tap:
    """Stands before a broker and counts packets by their type, as MQTT numbers it."""

    def __init__(self, mqtt_url: str) -> None:
        address = urlsplit(mqtt_url)
        self._host, self._port = str(address.hostname), address.port
        self.up: Counter[int] = Counter()
        """Packets to the broker."""
        self.down: Counter[int] = Counter()
        """Packets from the broker."""
        self.url = ""

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Carry one connection."""
        broker_reader, broker_writer = await asyncio.open_connection(self._host, self._port)
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self._carry(reader, broker_writer, self.up))
            tasks.create_task(self._carry(broker_reader, writer, self.down))

    async def _carry(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, counted: Counter[int]
    ) -> None:
        with suppress(asyncio.IncompleteReadError, ConnectionError):
            while True:
                head = await reader.readexactly(2)
                size, shift = head[1] & 0x7F, 7
                while head[-1] & 0x80:
                    head += await reader.readexactly(1)
                    size |= (head[-1] & 0x7F) << shift
                    shift += 7
                body = await reader.readexactly(size)
                counted[head[0] >> 4] += 1
                writer.write(head + body)
                await writer.drain()
        writer.close()


@asynccontextmanager
async def tapped(mqtt_url: str) -> AsyncIterator[Tap]:
    """Tap the line to this broker for the length of a block."""
    tap = Tap(mqtt_url)
    server = await asyncio.start_server(tap.serve, "127.0.0.1", 0)
    names = urlsplit(mqtt_url).netloc.rpartition("@")[0]
    tap.url = f"mqtt://{names}@127.0.0.1:{server.sockets[0].getsockname()[1]}"
    async with server:
        yield tap
