"""Ingest: takes moves off the broker, makes them, and answers: ``python -m services.negotiation.ingest``.

A message is not acknowledged to the broker before its transaction has committed and the broker has the
answer: what we hold is bounded, and while we are connected the rest waits there. Where that is not certain
nothing is acknowledged. A connection leaves nothing behind: what comes while there is none, the broker drops.
Whoever hears no answer sends the move again, which changes nothing where it was made. While a batch is made,
the next one gathers. Both sides of a session are told of each move, those too that were made over HTTP.
"""

import asyncio
import math
from collections.abc import Sequence
from contextlib import closing
from datetime import timedelta
from typing import Any

from hireling.rental.broker_users import PLATFORM, everybodys
from hireling.rental.topics import TOPICS
from services.chassis.broker_line import BrokerLine, BrokerLost, Message
from services.chassis.broker_lines import BrokerLines, hand_over, shared, stay_connected, wait_at_most
from services.chassis.clock import Clock, SystemClock
from services.chassis.configuring import configured
from services.chassis.database import Database, open_database
from services.chassis.database_thread import DatabaseThread
from services.chassis.garbage import collect_seldom
from services.chassis.leaving import Departure
from services.chassis.logging import configure_logging, get_logger
from services.chassis.metrics import serve_metrics
from services.chassis.migrations import check_schema
from services.chassis.mqtt_packets import Delivery, correlation_of
from services.chassis.mqtt_settings import MqttSettings
from services.chassis.rate_limits import RateLimits
from services.chassis.rows import json_text
from services.chassis.settings import DatabaseSettings
from services.chassis.tracing import configure_tracing
from services.messages.errors import Refused
from services.negotiation import metrics
from services.negotiation.playing import Player
from services.negotiation.settings import IngestSettings
from services.negotiation.telling import Teller
from services.negotiation.wire import Answer, Letter, Mover, mover_on, open_move, refusal

MOVES = tuple(everybodys(topic) for topic in TOPICS if topic.word == "moves" and PLATFORM in topic.listeners)

_log = get_logger(__name__)


class Ingest:
    """Connects for ever, makes every move, answers it, and tells both sides."""

    def __init__(
        self, database: Database, *, mqtt: MqttSettings, settings: IngestSettings, clock: Clock | None = None
    ) -> None:
        self._lines = BrokerLines(
            mqtt, most_in_hand=settings.queue_size, most_bytes_in_hand=settings.queue_bytes
        )
        self._settings = settings
        self._clock = clock or SystemClock()
        self._player = Player(database, hold=timedelta(seconds=settings.hold_seconds))
        self._teller = Teller(database)
        self._limits = _limits_of(settings)
        self._thread = DatabaseThread()
        self._in_hand = 0
        self._moved = asyncio.Event()
        self._stopping = asyncio.Event()
        self.ready = asyncio.Event()
        """Set while connected and subscribed."""

    def stop(self) -> None:
        """Take nothing new; answer what has arrived; then `run` returns."""
        self._stopping.set()

    async def run(self) -> None:
        """Serve until `stop`."""
        with closing(self._thread):
            await stay_connected(
                self._serve_one_connection, stopping=self._stopping, ready=self.ready, lost=self._begin_again
            )
        _log.info("ingest_stopped")

    def _begin_again(self) -> None:
        self._in_hand = 0

    def show(self) -> None:
        """Show how full this process's hands are, whenever its metrics are read."""
        metrics.IN_HAND.set_function(lambda: self._in_hand)
        metrics.CONNECTED.set_function(self.ready.is_set)

    def still_open(self) -> list[str]:
        """Return what it has in hand, in words."""
        return [f"{self._in_hand} messages in hand"]

    def health(self) -> dict[str, Any]:
        """Return how this process is. Raises where it has no broker to take messages from."""
        if not self.ready.is_set():
            raise BrokerLost(f"no connection to the broker {self._lines.address}")
        return {"process": "negotiation-ingest", "in_hand": self._in_hand}

    async def _serve_one_connection(self) -> None:
        """Receive on one line and publish on another, so that a full hand never keeps the answers waiting."""
        receiving = await self._lines.open()
        sending = None
        try:
            sending = await self._lines.open()
            self._teller.begin_again()
            async with asyncio.TaskGroup() as tasks:
                serving = [
                    tasks.create_task(self._take(receiving, sending)),
                    tasks.create_task(self._tell(sending)),
                    tasks.create_task(sending.until_lost()),
                ]
                await receiving.subscribe(self._topics())
                self.ready.set()
                _log.info("ingest_ready", broker=self._lines.address)
                await self._stopping.wait()
                await hand_over(receiving, self._topics(), is_busy=lambda: self._in_hand > 0)
                for task in serving:
                    task.cancel()
        finally:
            for line in (receiving, sending):
                if line is not None:
                    await line.close()

    def _topics(self) -> list[str]:
        return shared(MOVES, group=self._settings.share_group)

    # A move becomes an answer.

    async def _take(self, receiving: BrokerLine, sending: BrokerLine) -> None:
        size = self._settings.batch_size
        while True:
            arrived = await receiving.arrivals()
            metrics.RECEIVED.inc(len(arrived))
            self._in_hand += len(arrived)
            for start in range(0, len(arrived), size):
                some = arrived[start : start + size]
                await sending.publish(await self._answers(some))
                receiving.acknowledge(some)
                self._in_hand -= len(some)
                self._moved.set()

    async def _answers(self, deliveries: Sequence[Delivery]) -> list[Message]:
        """Return what to publish to the movers, in their order, once it is durable."""
        opened = [(delivery, mover, self._open(mover, delivery)) for delivery, mover in _moves(deliveries)]
        letters = [each for _, _, each in opened if isinstance(each, Letter)]
        played = iter(await self._played(letters))
        found = [
            (mover, delivery, next(played) if isinstance(each, Letter) else each)
            for delivery, mover, each in opened
            if each is not None
        ]
        for _, _, answer in found:
            metrics.ANSWERED.labels(answer["outcome"]).inc()
        return [_written(mover, delivery, answer) for mover, delivery, answer in found]

    async def _played(self, letters: Sequence[Letter]) -> Sequence[Answer]:
        if not letters:
            return []
        metrics.BATCH_SIZE.observe(len(letters))
        with metrics.COMMIT_SECONDS.time():
            return await self._thread.run(lambda: self._player.play(letters, now=self._clock.now()))

    def _open(self, mover: Mover, delivery: Delivery) -> Letter | Answer | None:
        """Return the move, or what to answer instead; None where the mover was told that already."""
        if self._limits is not None:
            now = asyncio.get_running_loop().time()
            limited = self._limits.check(mover.path, worth=1, now=now)
            if limited is not None:
                return _too_many(limited.wait_seconds) if limited.is_news else None
        return open_move(mover, delivery.payload, largest=self._settings.largest_move)

    # And both sides hear of it.

    async def _tell(self, sending: BrokerLine) -> None:
        while True:
            self._moved.clear()
            messages = await self._thread.run(self._news)
            await sending.publish(messages)
            metrics.TOLD.inc(len(messages))
            if not self._teller.is_behind:
                await wait_at_most(self._moved, self._settings.tell_seconds)

    def _news(self) -> Sequence[Message]:
        return self._teller.next(self._clock.now())


def _moves(deliveries: Sequence[Delivery]) -> list[tuple[Delivery, Mover]]:
    found = ((delivery, mover_on(delivery.topic)) for delivery in deliveries)
    return [(delivery, mover) for delivery, mover in found if mover is not None]


def _written(mover: Mover, delivery: Delivery, answer: Answer) -> Message:
    """Return an answer as it is published: to the mover's own topic, whichever one it asked for."""
    return mover.topic("answers"), json_text(answer).encode(), correlation_of(delivery)


def _too_many(wait_seconds: float) -> Answer:
    wait_ms = math.ceil(wait_seconds * 1_000)
    error = Refused("rate_limited", f"too many moves: the next one in {wait_ms} ms", wait_ms=wait_ms)
    return refusal(None, error, wait_ms=wait_ms)


def _limits_of(settings: IngestSettings) -> RateLimits | None:
    if not settings.moves_per_second:
        return None
    return RateLimits(
        per_second=settings.moves_per_second,
        burst=settings.moves_burst,
        tell_every_seconds=settings.limited_told_seconds,
    )


def main() -> None:
    """Run the process; exit 75 where it did not drain in time, 78 where its configuration is wrong."""
    configure_logging()
    configure_tracing()
    with configured():
        check_schema("negotiation")
        database = open_database(DatabaseSettings.of("negotiation").database_url)
        ingest = Ingest(database, mqtt=MqttSettings(), settings=IngestSettings())
        ingest.show()
        serve_metrics("negotiation-ingest", health=ingest.health)
        departure = Departure("negotiation-ingest", still_open=ingest.still_open)
    collect_seldom()
    asyncio.run(departure.of(ingest.run, stop=ingest.stop))
    database.close()


if __name__ == "__main__":
    main()
