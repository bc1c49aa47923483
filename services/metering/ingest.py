"""The asyncio process that takes signed readings and ceilings off the broker.

Run as ``python -m services.metering.ingest``.

    broker → inbox → threads open and verify → one thread records, a batch a transaction → answers → broker

All are bounded. The next batch is opened while one is recorded, and another gathers meanwhile, so that
transactions grow with the load. What a batch leads to, acknowledgements above all, is published after its
commit. Whatever is lost on the way was not acknowledged,
and the device sends it again: nothing in here needs to survive the process.
"""

import asyncio
import gc
import json
import random
import signal
import ssl
import sys
from collections.abc import Sequence
from contextlib import closing, suppress
from functools import partial
from typing import cast

from aiomqtt import Client, MqttError
from aiomqtt import Message as MqttMessage

from services.chassis.clock import Clock, SystemClock
from services.chassis.database import Database, open_database
from services.chassis.logging import configure_logging, get_logger
from services.chassis.migrations import check_schema
from services.chassis.settings import DatabaseSettings
from services.messages.errors import OperatorError
from services.metering.database_thread import DatabaseThread
from services.metering.downlink import Message
from services.metering.early import RETRY_SECONDS, Early
from services.metering.models import Downlink
from services.metering.opening import Opener
from services.metering.recording import Recorder
from services.metering.settings import MeteringSettings, MqttSettings
from services.metering.store import Store
from services.metering.wire import KINDS, Incoming, Letter, Opened, Refused

QOS_AT_LEAST_ONCE = 1
KEEPALIVE_SECONDS = 20
CONNECT_SECONDS = 5.0
FIRST_PAUSE_SECONDS = 0.1
LONGEST_PAUSE_SECONDS = 10.0
# aiomqtt warns above ten publications that wait for the broker.
IN_FLIGHT = 8
ANSWERED_BATCHES = 8
OPENED_BATCHES = 1
GARBAGE_THRESHOLDS = (100_000, 50, 100)
DOWNLINK_PAGE = 100
EXIT_CONFIGURATION = 78  # EX_CONFIG of sysexits.h: restarting will not help

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
        self._mqtt = mqtt
        self._settings = settings
        self._clock = clock or SystemClock()
        self._recorder = Recorder(database, settings=settings)
        self._opener = Opener(threads=settings.verify_threads, largest_payload=settings.largest_payload)
        self._early: Early[Letter] = Early(
            size=settings.unknown_kept, patience_seconds=settings.unknown_patience_seconds
        )
        self._inbox: asyncio.Queue[Incoming] = asyncio.Queue(settings.queue_size)
        self._opened: asyncio.Queue[Sequence[Opened]] = asyncio.Queue(OPENED_BATCHES)
        self._answers: asyncio.Queue[Sequence[Message]] = asyncio.Queue(ANSWERED_BATCHES)
        self._database_thread = DatabaseThread()
        self._arrived: asyncio.Queue[MqttMessage] = asyncio.Queue()
        self._client: Client | None = None
        self._stopping = asyncio.Event()
        self.ready = asyncio.Event()
        """Set while connected and subscribed."""

    def stop(self) -> None:
        """Take nothing new; record and answer what has arrived; then `run` returns."""
        self._stopping.set()

    async def run(self) -> None:
        """Serve until `stop`."""
        with closing(self._database_thread), closing(self._opener):
            async with asyncio.TaskGroup() as tasks:
                workers = [
                    tasks.create_task(self._open_for_ever()),
                    tasks.create_task(self._record_for_ever()),
                    tasks.create_task(self._answer_for_ever()),
                ]
                await self._stay_connected()
                for worker in workers:
                    worker.cancel()
        _log.info("ingest_stopped")

    async def _stay_connected(self) -> None:
        pause = FIRST_PAUSE_SECONDS
        while not self._stopping.is_set():
            try:
                await self._serve_one_connection()
            except* MqttError as errors:
                pause = FIRST_PAUSE_SECONDS if self.ready.is_set() else min(pause * 2, LONGEST_PAUSE_SECONDS)
                _log.warning("broker_lost", reason=str(errors.exceptions[0]), retry_seconds=pause)
            finally:
                self._client = None
                self.ready.clear()
            # Jittered, so that a restarted broker is not met by every process at once.
            await self._wait_for_stop(pause * random.uniform(0.5, 1.0))
        await self._inbox.join()

    async def _serve_one_connection(self) -> None:
        async with self._new_client() as client:
            self._client = client
            async with asyncio.TaskGroup() as tasks:
                receiving = tasks.create_task(self._receive(client))
                carrying = tasks.create_task(self._carry_down(client))
                await client.subscribe([(topic, QOS_AT_LEAST_ONCE) for topic in self._topics()])
                self.ready.set()
                _log.info("ingest_ready", broker=f"{self._mqtt.host}:{self._mqtt.port}")
                await self._stopping.wait()
                await self._drain(client)
                receiving.cancel()
                await carrying

    async def _drain(self, client: Client) -> None:
        await client.unsubscribe(self._topics())
        while len(client.messages):  # noqa: ASYNC110 - aiomqtt has no event for this; `_receive` empties it
            await asyncio.sleep(0)
        await self._inbox.join()
        await self._answers.join()

    def _new_client(self) -> Client:
        username, password = self._mqtt.credentials
        return Client(
            self._mqtt.host,
            self._mqtt.port,
            username=username,
            password=password,
            tls_context=ssl.create_default_context() if self._mqtt.encrypted else None,
            timeout=CONNECT_SECONDS,
            keepalive=KEEPALIVE_SECONDS,
            queue_type=cast("type[asyncio.Queue[MqttMessage]]", self._new_arrived),
        )

    def _new_arrived(self, maxsize: int) -> asyncio.Queue[MqttMessage]:
        self._arrived = asyncio.Queue(self._settings.queue_size)
        return self._arrived

    def _topics(self) -> list[str]:
        group = self._settings.share_group
        topics = [f"hireling/+/{kind}" for kind in KINDS]
        return [f"$share/{group}/{topic}" for topic in topics] if group else topics

    async def _receive(self, client: Client) -> None:
        async for message in client.messages:
            await self._take_in(message)
            # aiomqtt makes a task for every message it is asked for; what came with this one is at hand.
            while not self._arrived.empty():
                await self._take_in(self._arrived.get_nowait())

    async def _take_in(self, message: MqttMessage) -> None:
        incoming = Incoming(topic=message.topic.value, payload=message.payload, received_at=self._clock.now())
        await self._inbox.put(incoming)

    async def _record_for_ever(self) -> None:
        while True:
            batch = await self._next_opened()
            hopeful, expired = self._early.due(self._clock.now(), monotonic=asyncio.get_running_loop().time())
            early = await self._record([*hopeful, *batch], patient=True)
            surplus = self._early.keep(early)
            await self._record([*expired, *surplus], patient=False)
            for _ in batch:
                self._inbox.task_done()

    async def _open_for_ever(self) -> None:
        while True:
            batch = [await self._inbox.get()]
            while len(batch) < self._settings.batch_size and not self._inbox.empty():
                batch.append(self._inbox.get_nowait())
            await self._opened.put(await self._opener.open(batch))

    async def _next_opened(self) -> Sequence[Opened]:
        """Return the next batch, or none where early messages are to be tried again."""
        with suppress(TimeoutError):
            async with asyncio.timeout(None if self._early.is_empty else RETRY_SECONDS):
                return await self._opened.get()
        return []

    async def _record(self, batch: Sequence[Opened], *, patient: bool) -> list[Letter]:
        """Record messages, have the answers published, and return those whose rental is not known yet."""
        if not batch:
            return []
        try:
            answers = await self._database_thread.run(
                lambda: self._recorder.record(batch, now=self._clock.now(), patient=patient)
            )
        except Exception as error:  # noqa: BLE001 - one message that cannot be recorded must not stop the others
            if len(batch) == 1:
                _log.error("message_unrecordable", of=_origin(batch[0]), exc_info=error)
                return []
            return [late for message in batch for late in await self._record([message], patient=patient)]
        if answers.refused:
            _log.info("messages_refused", codes=dict(answers.refused))
        await self._answers.put(answers.messages)
        return answers.early

    async def _answer_for_ever(self) -> None:
        while True:
            messages = await self._answers.get()
            for start in range(0, len(messages), IN_FLIGHT):
                await self._answer(messages[start : start + IN_FLIGHT])
            self._answers.task_done()

    async def _answer(self, messages: Sequence[Message]) -> None:
        """Publish answers.

        Without a connection they are dropped, for the devices send again what is not acknowledged.
        """
        client = self._client
        if client is None:
            return
        results = await asyncio.gather(
            *(_publish(client, message) for message in messages), return_exceptions=True
        )
        for result in results:
            if isinstance(result, MqttError):
                _log.warning("answer_unpublished", reason=str(result))
            elif isinstance(result, BaseException):
                raise result

    async def _carry_down(self, client: Client) -> None:
        """Publish what the service wants devices to hear, in order, and end between two pages once stopped.

        A message is marked only when the broker has it.
        """
        while not self._stopping.is_set():
            rows = await self._database_thread.run(self._unpublished_rows)
            for row in rows:
                await _publish(client, (row.topic, row.payload))
            if rows:
                ids = [row.id for row in rows if row.id is not None]
                await self._database_thread.run(partial(self._mark_published, ids))
            else:
                await self._wait_for_stop(self._settings.downlink_seconds)

    def _unpublished_rows(self) -> list[Downlink]:
        with self._database.snapshot() as session:
            return Store(session).unpublished(limit=DOWNLINK_PAGE)

    def _mark_published(self, ids: Sequence[int]) -> None:
        with self._database.unit_of_work() as session:
            Store(session).mark_published(ids, now=self._clock.now())

    async def _wait_for_stop(self, seconds: float) -> None:
        with suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self._stopping.wait()


def _origin(opened: Opened) -> str | None:
    return opened.device if isinstance(opened, Refused) else opened.incoming.topic


async def _publish(client: Client, message: Message) -> None:
    topic, payload = message
    await client.publish(topic, json.dumps(payload), qos=QOS_AT_LEAST_ONCE)


async def serve(database: Database) -> None:
    """Serve until SIGTERM or SIGINT, then drain."""
    ingest = Ingest(database, mqtt=MqttSettings(), settings=MeteringSettings())
    loop = asyncio.get_running_loop()
    for name in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(name, ingest.stop)
    await ingest.run()


def main() -> int:
    """Run the process; return its exit code."""
    configure_logging()
    # Thousands of readings live for one transaction and die without cycles: looking for these at every 700th
    # object took a fifth of the time.
    gc.freeze()
    gc.set_threshold(*GARBAGE_THRESHOLDS)
    try:
        check_schema("metering")
        database = open_database(DatabaseSettings.of("metering").database_url)
        asyncio.run(serve(database))
    except (OperatorError, ValueError) as error:
        _log.critical("configuration_wrong", reason=str(error))
        return EXIT_CONFIGURATION
    database.close()
    return 0


if __name__ == "__main__":
    sys.exit(main())
