"""What a device sends of what it has logged: one by one, or a backlog in batches."""

import asyncio
from collections.abc import Callable
from pathlib import Path

from hireling.announce import Announce
from hireling.device.log import RentalLog
from hireling.device.uplink import BACKLOG, IN_BATCH, Uplink
from hireling.mqtt_line import Broker, MqttLine
from hireling.rental.batch import ReadingBatch, run_of_batch
from hireling.rental.reading import SignedReading
from tests.unit.agent.device.test_log import begin, take

TOPIC = "hireling/0xd/readings"


def ignore(event: str, **fields: object) -> None:
    """Announce nothing."""


class OpenLine(MqttLine):
    """A line that is up and confirms everything at once."""

    def __init__(self, announce: Announce) -> None:
        super().__init__(Broker("nowhere", 1), topics=(), announce=announce)
        self._up.set()
        self.sent: list[tuple[str, str]] = []
        self.news = asyncio.Event()

    async def publish(self, topic: str, payload: str) -> None:
        """Keep what is sent."""
        self.sent.append((topic, payload))
        self.news.set()


def a_log(path: Path, *, readings: int) -> RentalLog:
    """Return a log of so many readings, none of which anybody has acknowledged."""
    log, meter = begin(path / "rental.log")
    for number in range(1, readings):
        take(meter, number, number)
    return log


def sent_until(
    log: RentalLog, enough: Callable[[list[tuple[str, str]]], bool], *, first_silence: float = 5.0
) -> list[tuple[str, str]]:
    """Run an uplink until it has sent enough, and return what it sent."""

    async def run() -> list[tuple[str, str]]:
        line = OpenLine(ignore)
        uplink = Uplink(log, line=line, topic=TOPIC, announce=ignore, first_silence=first_silence)
        sending = asyncio.create_task(uplink.run())
        async with asyncio.timeout(60):
            while not enough(line.sent):
                line.news.clear()
                await line.news.wait()
        sending.cancel()
        await asyncio.gather(sending, return_exceptions=True)
        return line.sent

    return asyncio.run(run())


class TestUplink:
    def test_sends_what_nobody_has_missed_one_by_one(self, tmp_path: Path) -> None:
        sent = sent_until(a_log(tmp_path, readings=3), lambda sent: len(sent) == 3)
        assert [topic for topic, _ in sent] == [TOPIC] * 3
        assert [SignedReading.model_validate_json(wire).reading.seq for _, wire in sent] == [0, 1, 2]

    def test_sends_a_backlog_in_batches_and_the_rest_one_by_one(self, tmp_path: Path) -> None:
        log = a_log(tmp_path, readings=BACKLOG + 2)
        batches = BACKLOG // IN_BATCH
        sent = sent_until(log, lambda sent: len(sent) == batches + 2)
        assert [topic for topic, _ in sent] == ["hireling/0xd/batches"] * batches + [TOPIC] * 2
        runs = [run_of_batch(ReadingBatch.model_validate_json(wire)) for _, wire in sent[:batches]]
        assert [(run.first.seq, run.head.seq) for run in runs] == [
            (start, start + IN_BATCH - 1) for start in range(0, BACKLOG, IN_BATCH)
        ]
        assert {run.signer for run in runs} == {log.start.agreement.agreement.pay.meter}

    def test_goes_one_by_one_where_batches_are_not_acknowledged(self, tmp_path: Path) -> None:
        batches = BACKLOG // IN_BATCH
        log = a_log(tmp_path, readings=BACKLOG)
        sent = sent_until(log, lambda sent: len(sent) >= batches + BACKLOG, first_silence=0.01)
        assert [topic for topic, _ in sent[batches : batches + BACKLOG]] == [TOPIC] * BACKLOG
