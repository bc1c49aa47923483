"""The asyncio process that takes signed readings and ceilings off the broker.

Run as ``python -m services.metering.ingest``.

    broker → chunks → opened beside us → one thread records, a batch a transaction → PUBACK, answers

Nothing that counts is acknowledged to the broker before its transaction has committed: what is in here is the
broker's too, what we hold is bounded, and the rest waits there. A message whose rental is not known yet is
kept here for some seconds; until its device hears of it, the device sends it again. The next chunks are
opened while a batch is recorded, and more gather meanwhile, so that transactions grow with the load. What a
batch leads to, acknowledgements to devices above all, is published after its commit.
"""

import asyncio
from collections.abc import Sequence
from contextlib import aclosing, closing, suppress
from typing import Any

from services.chassis.broker_line import BrokerLine, BrokerLost
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
from services.chassis.mqtt_settings import MqttSettings
from services.chassis.settings import DatabaseSettings
from services.chassis.tracing import configure_tracing
from services.metering import metrics
from services.metering.carrying import Carrier, written
from services.metering.chunks import Chunk, in_chunks
from services.metering.downlink import Message
from services.metering.early import RETRY_SECONDS, Early
from services.metering.limiting import Turnstile
from services.metering.opening import new_opener
from services.metering.recording import Recorder
from services.metering.settings import MeteringSettings
from services.metering.wire import KINDS, Incoming, Letter, Opened, Refused

CHUNKS = 32
ANSWERED_BATCHES = 8
# After a transaction of so few messages: how long to rest, in lengths of it, and at most.
FEW, REST, LONGEST_REST_SECONDS = 8, 8.0, 0.25

_log = get_logger(__name__)


class Ingest:
    """Connects for ever, records everything, and answers what is durable."""

    def __init__(
        self,
        database: Database,
        *,
        mqtt: MqttSettings,
        settings: MeteringSettings,
        clock: Clock | None = None,
    ) -> None:
        self._database = database
        self._lines = BrokerLines(
            mqtt, most_in_hand=settings.queue_size, most_bytes_in_hand=settings.queue_bytes
        )
        self._settings = settings
        self._clock = clock or SystemClock()
        self._recorder = Recorder(database, settings=settings)
        self._turnstile = Turnstile(settings)
        self._in_hand = 0
        self._opener = new_opener(settings)
        self._early: Early[Letter] = Early(
            size=settings.unknown_kept, patience_seconds=settings.unknown_patience_seconds
        )
        self._opening: asyncio.Queue[Chunk] = asyncio.Queue(CHUNKS)
        self._opened: asyncio.Queue[Chunk] = asyncio.Queue(CHUNKS)
        self._answers: asyncio.Queue[Sequence[Message]] = asyncio.Queue(ANSWERED_BATCHES)
        self._database_thread = DatabaseThread()
        self._carrier = Carrier(database, self._database_thread, clock=self._clock)
        self._sending: BrokerLine | None = None
        self._stopping = asyncio.Event()
        self.ready = asyncio.Event()
        """Set while connected and subscribed."""

    def stop(self) -> None:
        """Take nothing new; record and answer what has arrived; then `run` returns."""
        self._stopping.set()

    async def run(self) -> None:
        """Serve until `stop`."""
        with closing(self._database_thread):
            async with aclosing(self._opener), asyncio.TaskGroup() as tasks:
                workers = [
                    tasks.create_task(self._collect_for_ever()),
                    tasks.create_task(self._record_for_ever()),
                    tasks.create_task(self._answer_for_ever()),
                ]
                await stay_connected(
                    self._serve_one_connection,
                    stopping=self._stopping,
                    ready=self.ready,
                    lost=self._begin_again,
                )
                await self._until_recorded()
                for worker in workers:
                    worker.cancel()
        _log.info("ingest_stopped")

    def show(self) -> None:
        """Show how full this process's hands are, whenever its metrics are read."""
        metrics.IN_HAND.set_function(lambda: self._in_hand)
        metrics.EARLY.set_function(lambda: len(self._early))
        metrics.CONNECTED.set_function(self.ready.is_set)

    def still_open(self) -> list[str]:
        """Return what it has in hand, in words."""
        return [f"{self._in_hand} messages in hand"]

    def health(self) -> dict[str, Any]:
        """Return how this process is. Raises where it has no broker to take messages from."""
        if not self.ready.is_set():
            raise BrokerLost(f"no connection to the broker {self._lines.address}")
        return {"process": "metering-ingest", "in_hand": self._in_hand}

    # From the broker.

    def _begin_again(self) -> None:
        self._sending = None

    async def _serve_one_connection(self) -> None:
        """Receive on one line and publish on another, so that a full hand never keeps the answers waiting."""
        receiving = await self._lines.open()
        sending = None
        try:
            sending = self._sending = await self._lines.open()
            async with asyncio.TaskGroup() as tasks:
                serving = [
                    tasks.create_task(self._receive(receiving)),
                    tasks.create_task(sending.until_lost()),
                ]
                carrying = tasks.create_task(self._carry_down(sending))
                await receiving.subscribe(self._topics())
                self.ready.set()
                _log.info("ingest_ready", broker=self._lines.address)
                await self._stopping.wait()
                await self._drain(receiving)
                await carrying
                for task in serving:
                    task.cancel()
        finally:
            for line in (receiving, sending):
                if line is not None:
                    await line.close()

    async def _receive(self, line: BrokerLine) -> None:
        while True:
            deliveries = await line.arrivals()
            now = self._clock.now()
            for some in in_chunks(deliveries, size=self._settings.chunk_size):
                incoming = [Incoming(topic=one.topic, payload=one.payload, received_at=now) for one in some]
                opening = asyncio.ensure_future(self._open(incoming))
                await self._opening.put(Chunk(line, some, opening))
                # Only now: while the queue is full the line may be lost, and this chunk with it.
                self._note_received(len(some))

    def _note_received(self, messages: int) -> None:
        metrics.RECEIVED.inc(messages)
        self._in_hand += messages

    async def _open(self, incoming: Sequence[Incoming]) -> list[Opened]:
        """Return what is to be recorded of these messages, the admitted ones first and in their order."""
        now = asyncio.get_running_loop().time()
        admitted, refusals, silent = self._turnstile.admit(incoming, monotonic=now)
        if silent:
            metrics.REFUSED.labels("rate_limited").inc(silent)
        with metrics.OPEN_SECONDS.time():
            return [*await self._opener.open(admitted), *refusals]

    async def _drain(self, receiving: BrokerLine) -> None:
        await hand_over(receiving, self._topics(), is_busy=lambda: False)
        await self._until_recorded()
        await self._answers.join()

    async def _until_recorded(self) -> None:
        await self._opening.join()
        await self._opened.join()

    def _topics(self) -> list[str]:
        return shared([f"hireling/+/{kind}" for kind in KINDS], group=self._settings.share_group)

    # Into the database.

    async def _collect_for_ever(self) -> None:
        """Hand chunks on in the order in which they came, however their opening overtook."""
        while True:
            chunk = await self._opening.get()
            await chunk.opening
            await self._opened.put(chunk)
            self._opening.task_done()

    async def _record_for_ever(self) -> None:
        loop = asyncio.get_running_loop()
        while True:
            chunks = await self._next_chunks()
            began = loop.time()
            hopeful, expired = self._early.due(self._clock.now(), monotonic=began)
            opened = [each for chunk in chunks for each in chunk.opening.result()]
            early = await self._record([*hopeful, *opened], patient=True)
            surplus = self._early.keep(early)
            await self._record([*expired, *surplus], patient=False)
            for chunk in chunks:
                chunk.line.acknowledge(chunk.deliveries)
                self._in_hand -= len(chunk.deliveries)
                self._opened.task_done()
            if not self._in_hand and len(opened) <= FEW:
                # What comes meanwhile shares a transaction, which costs the machine as much for one message
                # as for ten. Where transactions are quick nobody notices.
                await asyncio.sleep(min(REST * (loop.time() - began), LONGEST_REST_SECONDS))

    async def _next_chunks(self) -> list[Chunk]:
        """Return what the next transaction takes, or nothing where early messages are to be tried again."""
        try:
            async with asyncio.timeout(None if self._early.is_empty else RETRY_SECONDS):
                chunks = [await self._opened.get()]
        except TimeoutError:
            return []
        count = len(chunks[0].deliveries)
        with suppress(TimeoutError):
            async with asyncio.timeout(self._settings.gather_seconds):
                while count < self._settings.batch_size and not self._has_taken_in(chunks):
                    chunks.append(await self._opened.get())
                    count += len(chunks[-1].deliveries)
        return chunks

    def _has_taken_in(self, chunks: Sequence[Chunk]) -> bool:
        """Return whether these chunks are all that is here: then nothing is worth waiting for."""
        return self._in_hand <= sum(len(chunk.deliveries) for chunk in chunks)

    async def _record(self, batch: Sequence[Opened], *, patient: bool) -> list[Letter]:
        """Record messages, have the answers published, and return those whose rental is not known yet."""
        if not batch:
            return []
        try:
            with metrics.COMMIT_SECONDS.time():
                answers = await self._database_thread.run(
                    lambda: self._recorder.record(batch, now=self._clock.now(), patient=patient)
                )
        except Exception as error:  # noqa: BLE001 - one message that cannot be recorded must not stop the others
            if len(batch) == 1:
                _log.error("message_unrecordable", of=_origin(batch[0]), exc_info=error)
                return []
            middle = len(batch) // 2
            halves = (batch[:middle], batch[middle:])
            return [early for half in halves for early in await self._record(half, patient=patient)]
        metrics.BATCH_SIZE.observe(len(batch))
        answers.durable.show(self._clock.now())
        if answers.refused:
            for code, count in answers.refused.items():
                metrics.REFUSED.labels(code).inc(count)
            _log.info("messages_refused", codes=dict(answers.refused))
        await self._answers.put(answers.messages)
        return answers.early

    # Back to the devices.

    async def _answer_for_ever(self) -> None:
        while True:
            await self._answer(await self._answers.get())
            self._answers.task_done()

    async def _answer(self, messages: Sequence[Message]) -> None:
        """Publish answers.

        Without a connection they are dropped, for the devices send again what is not acknowledged.
        """
        if self._sending is None:
            return
        try:
            await self._sending.publish([written(message) for message in messages])
            metrics.ACKS.inc(sum(topic.endswith("/acks") for topic, _ in messages))
        except BrokerLost as error:
            _log.warning("answers_unpublished", count=len(messages), reason=str(error))

    async def _carry_down(self, line: BrokerLine) -> None:
        """Carry on until stopped, and end between two pages."""
        while not self._stopping.is_set():
            if not await self._carrier.carry(line):
                await wait_at_most(self._stopping, self._settings.downlink_seconds)


def _origin(opened: Opened) -> str | None:
    return opened.device if isinstance(opened, Refused) else opened.incoming.topic


def main() -> None:
    """Run the process; exit 75 where it did not drain in time, 78 where its configuration is wrong."""
    configure_logging()
    configure_tracing()
    with configured():
        check_schema("metering")
        database = open_database(DatabaseSettings.of("metering").database_url)
        ingest = Ingest(database, mqtt=MqttSettings(), settings=MeteringSettings())
        ingest.show()
        serve_metrics("metering-ingest", health=ingest.health)
        departure = Departure("metering-ingest", still_open=ingest.still_open)
    collect_seldom()
    asyncio.run(departure.of(ingest.run, stop=ingest.stop))
    database.close()


if __name__ == "__main__":
    main()
