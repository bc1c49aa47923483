"""Readings on their way to the platform.

They go from the log to the broker, again and again, until they are durable there.
"""

import asyncio
from itertools import islice

from hireling.announce import Announce
from hireling.device.log import RentalLog
from hireling.device.log_contents import LoggedReading
from hireling.mqtt_line import LineDown, MqttLine
from hireling.rental.batch import ReadingBatch, batch_wire
from hireling.rental.encoding import Encoding, to_cbor

# The broker confirms each message; more than a few at a time gains nothing, and aiomqtt warns above ten.
IN_FLIGHT = 8
FIRST_SILENCE_SECONDS = 5.0
LONGEST_SILENCE_SECONDS = 60.0
# What a machine logs while nobody misses it goes singly, for the renter listens too. More is a backlog, and
# goes in batches, of a size that every broker takes.
IN_BATCH = 50
BACKLOG = 4 * IN_BATCH
# The broker confirms before the platform does. So much more than the platform holds is under way at most:
# enough to keep it busy, little to send again after a crash, and the broker need not hold a whole log.
AHEAD = 20 * BACKLOG
AFTER_LOSS_SECONDS = 0.1
ANNOUNCED_EVERY = 25  # acknowledgements come many a second; people need not see each


class Uplink:
    """Sends one rental's readings.

    Whatever is unacknowledged after a reconnection or a silence is sent again, byte for byte.
    """

    def __init__(
        self,
        log: RentalLog,
        *,
        line: MqttLine,
        topic: str,
        announce: Announce,
        first_silence: float = FIRST_SILENCE_SECONDS,
        encoding: Encoding = "json",
    ) -> None:
        self._log = log
        self._line = line
        self._topic = topic
        self._batch_topic = f"{topic.rpartition('/')[0]}/batches"
        self._encoding = encoding
        self._one_by_one = False
        self._stuck_at = -1
        self._announce = announce
        self._sent = -1
        self._news = asyncio.Event()
        self._first_silence = self._silence = first_silence
        self._connection = 0
        self._paused_until = 0.0
        self._doubt: int | None = None

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
        if seq < before:
            self._doubt_unless_refuted(seq)
            return
        self._doubt = None
        self._log.note_ack(seq)
        if self._log.acked > before:
            if self.is_done or self._log.acked // ANNOUNCED_EVERY > before // ANNOUNCED_EVERY:
                self._announce("acked", rental_id=f"0x{self._log.rental_id.hex()}", seq=self._log.acked)
            self._silence = self._first_silence
            # What could not go in a batch is past.
            self._one_by_one = self._one_by_one and self._log.acked < self._stuck_at + IN_BATCH
            self._news.set()

    def note_gap(self, seq: int) -> None:
        """Note that the platform waits for something before this number."""
        if self._log.acked >= seq - 1 and self._doubt is None:
            # It acknowledged all of that, and says nothing of how far it is: it holds none of it.
            self._doubt_unless_refuted(-1)

    def _doubt_unless_refuted(self, seq: int) -> None:
        """Believe that the platform lost what comes after ``seq``, unless it soon says that it holds it.

        Acknowledgements of two copies of it may well overtake each other.
        """
        if self._doubt is None:
            asyncio.get_running_loop().call_later(self._first_silence, self._go_back)
        self._doubt = seq

    def _go_back(self) -> None:
        if self._doubt is None:
            return
        seq, self._doubt = self._doubt, None
        self._announce(
            "sending_lost_again", rental_id=f"0x{self._log.rental_id.hex()}", after=seq, until=self._log.acked
        )
        self._log.go_back(seq)
        self.send_again()

    def send_all_again(self) -> None:
        """Send all that the log has: the platform had lost the rental and everything of it."""
        self._doubt, self._silence = None, self._first_silence
        self._log.go_back(-1)
        self.send_again()

    def send_again(self) -> None:
        """Send everything unacknowledged again."""
        self._sent = -1
        self._news.set()

    def pause(self, seconds: float) -> None:
        """Send nothing for so long, and then everything unacknowledged again: the platform took no more."""
        self._paused_until = max(self._paused_until, asyncio.get_running_loop().time() + seconds)
        self.send_again()

    async def run(self) -> None:
        """Send until nothing is left to send."""
        while not self.is_done:
            await self._line.wait_up()
            await self._wait_out_the_pause()
            if self._line.connections != self._connection:
                self._connection = self._line.connections
                self._sent = -1
            is_far_ahead = self._sent - self._log.acked > AHEAD - BACKLOG
            wanted = IN_FLIGHT if self._one_by_one else BACKLOG
            unsent = [] if is_far_ahead else list(islice(self._log.unacknowledged(self._sent), wanted))
            if len(unsent) == BACKLOG and not self._one_by_one:
                await self._send([unsent[start : start + IN_BATCH] for start in range(0, BACKLOG, IN_BATCH)])
            elif unsent:
                await self._send([[logged] for logged in unsent[:IN_FLIGHT]])
            else:
                await self._wait_for_news()

    async def stay(self) -> None:
        """Send again, for as long as this runs, what a platform that once held everything has lost.

        It is asked by the last reading, at each new connection: whoever restores a platform restarts its
        broker.
        """
        while True:
            await self._news.wait()
            self._news.clear()
            if not self.is_done:
                await self.run()
            elif self._log.last is not None and self._line.connections != self._connection:
                await self._line.wait_up()
                if await self._publish([self._log.last]):
                    self._connection = self._line.connections

    async def _send(self, batches: list[list[LoggedReading]]) -> None:
        results = await asyncio.gather(*(self._publish(batch) for batch in batches))
        if all(results):
            self._sent = batches[-1][-1].seq
            return
        # Any of them may be lost; the receiver ignores what it has.
        self._sent = -1
        await asyncio.sleep(AFTER_LOSS_SECONDS)

    async def _publish(self, batch: list[LoggedReading]) -> bool:
        topic = self._topic if len(batch) == 1 else self._batch_topic
        try:
            await self._line.publish(topic, self._encoded(batch))
        except LineDown:
            return False
        return True

    def _encoded(self, batch: list[LoggedReading]) -> str | bytes:
        """Return a message: the very bytes of the log, or the same objects in CBOR."""
        if self._encoding == "cbor":
            readings = tuple(logged.signed for logged in batch)
            return to_cbor(readings[0] if len(batch) == 1 else ReadingBatch(readings=readings))
        return batch[0].wire if len(batch) == 1 else batch_wire([logged.wire for logged in batch])

    async def _wait_out_the_pause(self) -> None:
        now = asyncio.get_running_loop().time()
        if now < self._paused_until:
            await asyncio.sleep(self._paused_until - now)
            # What was sent meanwhile came too early as well.
            self._sent = -1

    async def _wait_for_news(self) -> None:
        self._news.clear()
        is_waiting_for_ack = self._log.last is not None and self._log.acked < self._log.last.seq
        try:
            async with asyncio.timeout(self._silence if is_waiting_for_ack else None):
                await self._news.wait()
        except TimeoutError:
            self._announce("resending", rental_id=f"0x{self._log.rental_id.hex()}", after=self._log.acked)
            self._silence = min(self._silence * 2, LONGEST_SILENCE_SECONDS)
            # A batch counts whole or not at all; one by one, all counts up to the reading that is refused.
            self._one_by_one, self._stuck_at = not self._one_by_one, self._log.acked
            self._sent = -1
