"""Lines between processes and servers that a test can cut: a small TCP proxy each, without root or firewall.

A line can fall silent, as a cable that is pulled: what is sent arrives when it is plugged in again, if
anyone still waits. It can lose the answers alone, so that what was asked for is done and nobody hears of it.
And it can be reset, as a server that is gone: every connection breaks, and new ones are refused.
"""

import asyncio
import socket
import struct
import threading
from collections.abc import Callable, Coroutine, Iterable
from contextlib import suppress
from typing import Any

CHUNK = 65_536
LOOPBACK = "127.0.0.1"
DONE_WITHIN = 10.0  # seconds for the proxies' own thread to do what it is told
# Closing sends a reset and drops what is buffered (socket(7), SO_LINGER).
RESET = struct.pack("ii", 1, 0)


class Line:
    """One way to one server; connect to `port` instead of the server's own."""

    def __init__(
        self, run: Callable[[Coroutine[Any, Any, None]], None], *, name: str, port: int, target: int
    ) -> None:
        self.name, self.port, self.target = name, port, target
        self._run = run
        self._there, self._back = asyncio.Event(), asyncio.Event()
        self._sockets: set[socket.socket] = set()
        self._tasks: set[asyncio.Task[None]] = set()
        self._server: asyncio.Server | None = None

    def open(self) -> None:
        """Let everything through, and accept connections."""
        self._run(self._open())

    def silence(self) -> None:
        """Hold everything back, both ways, of old and of new connections."""
        self._run(self._hold(self._there, self._back))

    def swallow_answers(self) -> None:
        """Hold back what the server says."""
        self._run(self._hold(self._back))

    def reset(self) -> None:
        """Break every connection, and refuse new ones."""
        self._run(self._reset())

    async def _open(self) -> None:
        self._there.set()
        self._back.set()
        if self._server is None:
            self._server = await asyncio.start_server(self._serve, LOOPBACK, self.port, reuse_address=True)

    async def _hold(self, *ways: asyncio.Event) -> None:
        for way in ways:
            way.clear()

    async def _reset(self) -> None:
        if self._server is not None:
            self._server.close()
            self._server = None
        for each in self._sockets:
            with suppress(OSError):  # closed by its own side just now
                each.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET)
        for task in list(self._tasks):
            task.cancel()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        try:
            await self._carry(reader, writer)
        except (OSError, asyncio.CancelledError):
            pass  # either side, or the reset, ended the connection
        finally:
            self._tasks.discard(task)
            writer.transport.abort()

    async def _carry(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        # A silent line does not even say that the server is gone.
        await self._there.wait()
        servers_reader, servers_writer = await asyncio.open_connection(LOOPBACK, self.target)
        ends = [each.get_extra_info("socket")._sock for each in (writer, servers_writer)]
        self._sockets.update(ends)
        try:
            async with asyncio.TaskGroup() as both:
                both.create_task(_pump(reader, servers_writer, self._there))
                both.create_task(_pump(servers_reader, writer, self._back))
        except* OSError:
            pass
        finally:
            self._sockets.difference_update(ends)
            servers_writer.transport.abort()


async def _pump(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, way: asyncio.Event) -> None:
    while data := await reader.read(CHUNK):
        await way.wait()
        writer.write(data)
        await writer.drain()
    await way.wait()
    if writer.can_write_eof():
        writer.write_eof()


async def _everyone_else_ends() -> None:
    """Have every other task of the loop end, and the transports that it closed."""
    others = asyncio.all_tasks() - {asyncio.current_task()}
    for task in others:
        task.cancel()
    await asyncio.gather(*others, return_exceptions=True)
    await asyncio.sleep(0)  # a transport that was aborted closes its socket in the next turn


class Lines:
    """All lines of a run, in a thread of their own."""

    def __init__(self, ports: Iterable[int]) -> None:
        """Take the ports of all lines, free and nobody else's."""
        self._ports = iter(ports)
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="lines", daemon=True)
        self._thread.start()
        self._lines: list[Line] = []

    def to(self, target: int, *, name: str) -> Line:
        """Return a new, open line to a local port."""
        line = Line(self._run, name=name, port=next(self._ports), target=target)
        line.open()
        self._lines.append(line)
        return line

    def close(self) -> None:
        """Break every line, for good."""
        for line in self._lines:
            line.reset()
        self._run(_everyone_else_ends())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(DONE_WITHIN)
        self._loop.close()

    def _run(self, work: Coroutine[Any, Any, None]) -> None:
        asyncio.run_coroutine_threadsafe(work, self._loop).result(DONE_WITHIN)
