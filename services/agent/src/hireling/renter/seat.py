"""A renter's seat at the machine's topics: the line to the broker, taken while the money is on its way.

The marketplace lets a renter in early where nobody else rents the machine. Where it does not, or the broker
has not heard of the name yet, the line is tried again from the moment it is needed.
"""

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

from hireling.announce import Announce, Field
from hireling.mqtt_line import Listener, MqttLine

# A challenge or two, and no flood.
EARLY_MESSAGES = 32


class Seat:
    """One rental's line, which may be up before there is anybody to listen."""

    def __init__(self, make_line: Callable[[Announce], MqttLine], *, announce: Announce) -> None:
        """``make_line`` makes the line, which announces what happens to it by what it is given."""
        self._make_line = make_line
        self._announce = announce
        self._listener: Listener | None = None
        self._line: MqttLine | None = None
        self._running: asyncio.Task[None] | None = None
        self._early: deque[tuple[str, bytes]] = deque(maxlen=EARLY_MESSAGES)

    @property
    def line(self) -> MqttLine | None:
        """Return the line where it is up."""
        return self._line if self._line is not None and self._line.is_up else None

    async def take_early(self) -> MqttLine:
        """Connect, and return the line once it is up."""
        line = self._line or self._connect(self._announce_arrival)
        await line.wait_up()
        return line

    @asynccontextmanager
    async def taken_by(self, listener: Listener) -> AsyncIterator[MqttLine]:
        """Have this one listen, over the early line where it is up, until the block ends."""
        self._listener = listener
        line = self.line
        if line is None:
            # Its next try may be seconds away.
            await self.leave()
            line = self._connect(self._announce)
        else:
            listener.on_line_up()
            while self._early:
                listener.on_message(*self._early.popleft())
        try:
            yield line
        finally:
            self._listener = None
            await self.leave()

    async def leave(self) -> None:
        """Hang up."""
        running, self._running, self._line = self._running, None, None
        self._early.clear()
        if running is not None:
            running.cancel()
            await asyncio.gather(running, return_exceptions=True)

    def on_message(self, topic: str, payload: bytes) -> None:
        """Hand a message on, or keep it until somebody listens."""
        if self._listener is not None:
            self._listener.on_message(topic, payload)
        else:
            self._early.append((topic, payload))

    def on_line_up(self) -> None:
        """Hand the news on."""
        if self._listener is not None:
            self._listener.on_line_up()

    def _connect(self, announce: Announce) -> MqttLine:
        self._line = line = self._make_line(announce)
        self._running = asyncio.create_task(line.run(self))
        return line

    def _announce_arrival(self, event: str, **fields: Field) -> None:
        # Until the money is there nobody need be let in.
        if self._listener is not None or event == "broker_connected":
            self._announce(event, **fields)
