"""Readings on their way to the platform.

They go from the log to the broker, again and again, until they are durable there.
"""

import asyncio
from itertools import islice

from hireling.announce import Announce
from hireling.device.log import LoggedReading, RentalLog
from hireling.mqtt_line import LineDown, MqttLine

# The broker confirms each message; more than a few at a time gains nothing, and aiomqtt warns above ten.
IN_FLIGHT = 8
FIRST_SILENCE_SECONDS = 5.0
LONGEST_SILENCE_SECONDS = 60.0
AFTER_LOSS_SECONDS = 0.1
ANNOUNCED_EVERY = 25  # acknowledgements come many a second; people need not see each


class Uplink:
    """Sends one rental's readings.

    Whatever is unacknowledged after a reconnection or a silence is sent again, byte for byte.
    """

    def __init__(self, log: RentalLog, *, line: MqttLine, topic: str, announce: Announce) -> None:
        self._log = log
        self._line = line
        self._topic = topic
        self._announce = announce
        self._sent = -1
        self._news = asyncio.Event()
        self._silence = FIRST_SILENCE_SECONDS
        self._connection = 0

    @property
    def is_done(self) -> bool:
        """Return whether the rental is over and the platform holds all of it."""
        last = self._log.last
        return self._log.is_over and (last is None or self._log.acked >= last.seq)

    def wake(self) -> None:
        """Look for new readings."""
        self._news.set()

    def note_ack(self, seq: int) -> None:
        """Note what the platform holds."""
        before = self._log.acked
        self._log.note_ack(seq)
        if self._log.acked > before:
            if self.is_done or self._log.acked // ANNOUNCED_EVERY > before // ANNOUNCED_EVERY:
                self._announce("acked", rental_id=f"0x{self._log.rental_id.hex()}", seq=self._log.acked)
            self._silence = FIRST_SILENCE_SECONDS
            self._news.set()

    def send_again(self) -> None:
        """Send everything unacknowledged again."""
        self._sent = -1
        self._news.set()

    async def run(self) -> None:
        """Send until nothing is left to send."""
        while not self.is_done:
            await self._line.wait_up()
            if self._line.connections != self._connection:
                self._connection = self._line.connections
                self._sent = -1
            batch = list(islice(self._log.unacknowledged(self._sent), IN_FLIGHT))
            if batch:
                await self._send(batch)
            else:
                await self._wait_for_news()

    async def _send(self, batch: list[LoggedReading]) -> None:
        results = await asyncio.gather(*(self._publish(logged) for logged in batch))
        if all(results):
            self._sent = batch[-1].seq
            return
        # Any of them may be lost; the receiver ignores what it has.
        self._sent = -1
        await asyncio.sleep(AFTER_LOSS_SECONDS)

    async def _publish(self, logged: LoggedReading) -> bool:
        try:
            await self._line.publish(self._topic, logged.wire)
        except LineDown:
            return False
        return True

    async def _wait_for_news(self) -> None:
        self._news.clear()
        is_waiting_for_ack = self._log.last is not None and self._log.acked < self._log.last.seq
        try:
            async with asyncio.timeout(self._silence if is_waiting_for_ack else None):
                await self._news.wait()
        except TimeoutError:
            self._announce("resending", rental_id=f"0x{self._log.rental_id.hex()}", after=self._log.acked)
            self._silence = min(self._silence * 2, LONGEST_SILENCE_SECONDS)
            self._sent = -1
