"""A process that opens messages, and its two ends: the asyncio side, and the loop that runs inside.

Chunks go to its standard input and come back from its standard output as opened messages, in order, each a
pickle after its length. It ends when its input does, and so never outlives whoever started it.
"""

import asyncio
import pickle
import signal
import sys
from collections import deque
from collections.abc import Sequence
from datetime import datetime
from typing import Any, BinaryIO

from hireling.rental.chain_rules import Measured
from hireling.rental.typed_data import domain_of
from services.chassis.logging import configure_logging, get_logger
from services.metering.gist import Gist
from services.metering.settings import MeteringSettings
from services.metering.wire import Incoming, Opened, ReadingLetter, malformed, open_message

LENGTH_BYTES = 4
END_SECONDS = 10.0
MODULE = "services.metering.opening_process"

Answer = tuple[Any, ...]

_log = get_logger(__name__)


class ProcessLost(Exception):
    """The process ended before it answered."""


class OpeningProcess:
    """The process as ingest sees it: started when it is needed, and again after it ended."""

    def __init__(self, settings: MeteringSettings) -> None:
        self._arguments = (str(settings.largest_payload), str(settings.slack_seconds))
        self._process: asyncio.subprocess.Process | None = None
        self._reading: asyncio.Task[None] | None = None
        self._awaited: deque[asyncio.Future[list[Answer]]] = deque()
        self._starting = asyncio.Lock()

    async def open(self, chunk: Sequence[Incoming]) -> list[Opened]:
        """Return each message opened, in the same order. Raises ProcessLost."""
        async with self._starting:
            if self._process is None:
                await self._start()
            answer = self._send([(one.topic, one.payload, one.received_at) for one in chunk])
        answers = await answer
        return [_opened(incoming, one) for incoming, one in zip(chunk, answers, strict=True)]

    async def aclose(self) -> None:
        """End it, once it has opened what it was given."""
        process, reading = self._process, self._reading
        if process is None or reading is None or process.stdin is None:
            return
        process.stdin.close()
        try:
            async with asyncio.timeout(END_SECONDS):
                await asyncio.shield(reading)
        except TimeoutError:
            process.kill()
            await reading

    async def _start(self) -> None:
        self._process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", MODULE, *self._arguments),
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
        )
        self._reading = asyncio.create_task(self._read(self._process), name="opened messages")

    def _send(self, chunk: list[tuple[str, bytes, datetime]]) -> asyncio.Future[list[Answer]]:
        awaited: asyncio.Future[list[Answer]] = asyncio.get_running_loop().create_future()
        self._awaited.append(awaited)
        if self._process is not None and self._process.stdin is not None:
            # Not awaited until it is drained: no more than a few chunks are ever on their way.
            self._process.stdin.write(_frame(chunk))
        return awaited

    async def _read(self, process: asyncio.subprocess.Process) -> None:
        if process.stdout is None:
            raise TypeError("a process without an output")
        try:
            while True:
                length = int.from_bytes(await process.stdout.readexactly(LENGTH_BYTES), "big")
                answers = pickle.loads(await process.stdout.readexactly(length))  # noqa: S301 - our own child
                awaited = self._awaited.popleft()
                if not awaited.done():
                    awaited.set_result(answers)
        except (asyncio.IncompleteReadError, ConnectionError):
            # What is asked from now on is the next process's, which may start before this one is quite gone.
            self._process = None
            lost, self._awaited = self._awaited, deque()
            code = await process.wait()
            for awaited in lost:
                if not awaited.done():
                    awaited.set_exception(ProcessLost(f"a process that opens messages ended with {code}"))


def _opened(incoming: Incoming, answer: Answer) -> Opened:
    """Return an opened message as it was in the other process."""
    if len(answer) == 1:
        other: Opened = answer[0]
        return other
    chain_id, escrow, rental_id, signer, fault, first, head, *rest, document = answer
    hashes, paces, minutes, oldest_ms = rest
    return ReadingLetter(
        incoming=incoming,
        domain=domain_of(chain_id, escrow),
        rental_id=rental_id,
        signer=signer,
        fault=fault,
        gist=Gist(Measured._make(first), Measured._make(head), hashes, paces, minutes, oldest_ms),
        document=incoming.payload.decode() if document is None else document,
    )


def _answer(opened: Opened) -> Answer:
    """Return an opened message as plain values: they travel several times as fast."""
    if not isinstance(opened, ReadingLetter):
        return (opened,)
    gist, domain = opened.gist, opened.domain
    is_payload = opened.document.encode() == opened.incoming.payload
    return (
        domain.chain_id,
        domain.escrow,
        opened.rental_id,
        opened.signer,
        opened.fault,
        tuple(gist.first),
        tuple(gist.head),
        gist.hashes,
        gist.paces,
        gist.minutes,
        gist.oldest_ms,
        None if is_payload else opened.document,
    )


def _frame(content: object) -> bytes:
    pickled = pickle.dumps(content, protocol=pickle.HIGHEST_PROTOCOL)
    return len(pickled).to_bytes(LENGTH_BYTES, "big") + pickled


def open_all(chunk: Sequence[Incoming], *, largest: int, slack_seconds: float) -> list[Opened]:
    """Return each message opened, in the same order, whatever they are."""
    return [_open_one(incoming, largest=largest, slack_seconds=slack_seconds) for incoming in chunk]


def _open_one(incoming: Incoming, *, largest: int, slack_seconds: float) -> Opened:
    try:
        return open_message(incoming, largest=largest, slack_seconds=slack_seconds)
    except Exception as error:  # noqa: BLE001 - one message that cannot be opened must not stop the others
        return unopenable(incoming, error)


def unopenable(incoming: Incoming, error: Exception) -> Opened:
    """Refuse a message that no code of ours could open, and say so to the operator."""
    _log.error("message_unopenable", of=incoming.topic, exc_info=error)
    return malformed(incoming, detail="cannot be opened")


def serve(chunks: BinaryIO, answers: BinaryIO, *, largest: int, slack_seconds: float) -> None:
    """Open every chunk that comes, until none does."""
    configure_logging()  # to standard error: the output is for answers
    while length := chunks.read(LENGTH_BYTES):
        chunk = pickle.loads(chunks.read(int.from_bytes(length, "big")))  # noqa: S301 - from whoever started us
        incoming = [Incoming(topic=topic, payload=payload, received_at=at) for topic, payload, at in chunk]
        opened = open_all(incoming, largest=largest, slack_seconds=slack_seconds)
        answers.write(_frame([_answer(one) for one in opened]))
        answers.flush()


if __name__ == "__main__":
    # Who started us decides when to stop: what it has taken is still to be opened.
    for name in (signal.SIGINT, signal.SIGTERM):
        signal.signal(name, signal.SIG_IGN)
    serve(sys.stdin.buffer, sys.stdout.buffer, largest=int(sys.argv[1]), slack_seconds=float(sys.argv[2]))
