"""What a device sends of what it has logged: one by one, or a backlog in batches."""

import asyncio
from collections.abc import Callable
from pathlib import Path

import pytest

from hireling.announce import Announce
from hireling.device import uplink as uplink_module
from hireling.device.log import RentalLog
from hireling.device.uplink import BACKLOG, IN_BATCH, Uplink
from hireling.mqtt_line import Broker, MqttLine
from hireling.rental.batch import ReadingBatch, run_of_batch
from hireling.rental.encoding import Encoding, is_cbor, parse
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
        self.sent: list[tuple[str, str | bytes]] = []
        self.news = asyncio.Event()
        self.on_sent: Callable[[str, str | bytes], None] = lambda topic, payload: None

    async def publish(self, topic: str, payload: str | bytes) -> None:
        """Keep what is sent."""
        await asyncio.sleep(0)
        self.sent.append((topic, payload))
        self.on_sent(topic, payload)
        self.news.set()


def a_log(path: Path, *, readings: int) -> RentalLog:
    """Return a log of so many readings, none of which anybody has acknowledged."""
    log, meter = begin(path / "rental.log")
    for number in range(1, readings):
        take(meter, number, number)
    return log


def sent_until(
    log: RentalLog,
    enough: Callable[[list[tuple[str, str | bytes]]], bool],
    *,
    first_silence: float = 5.0,
    encoding: Encoding = "json",
) -> list[tuple[str, str | bytes]]:
    """Run an uplink until it has sent enough, and return what it sent."""

    async def run() -> list[tuple[str, str | bytes]]:
        line = OpenLine(ignore)
        uplink = Uplink(
            log, line=line, topic=TOPIC, announce=ignore, first_silence=first_silence, encoding=encoding
        )
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

    def test_is_no_further_ahead_of_the_platform_than_a_crash_may_cost(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(uplink_module, "AHEAD", 2 * BACKLOG)
        log = a_log(tmp_path, readings=4 * BACKLOG)
        batches = BACKLOG // IN_BATCH

        async def run() -> None:
            line = OpenLine(ignore)
            uplink = Uplink(log, line=line, topic=TOPIC, announce=ignore)
            sending = asyncio.create_task(uplink.run())
            for _ in range(200):
                await asyncio.sleep(0)
            assert numbers(line.sent) == list(range(2 * BACKLOG)), "what nobody acknowledges holds it back"
            uplink.note_ack(BACKLOG - 1)
            for _ in range(200):
                await asyncio.sleep(0)
            assert numbers(line.sent) == list(range(3 * BACKLOG))
            assert len(line.sent) == 3 * batches
            sending.cancel()
            await asyncio.gather(sending, return_exceptions=True)

        asyncio.run(run())

    def test_goes_on_in_batches_after_the_one_that_was_stuck(self, tmp_path: Path) -> None:
        """The platform acknowledges nothing until readings come singly, and everything after that."""
        log = a_log(tmp_path, readings=3 * BACKLOG)

        async def run() -> list[tuple[str, str | bytes]]:
            line = OpenLine(ignore)
            uplink = Uplink(log, line=line, topic=TOPIC, announce=ignore, first_silence=0.01)
            heard = {"single": False}

            def acknowledge(topic: str, payload: str | bytes) -> None:
                heard["single"] |= topic == TOPIC
                if heard["single"]:
                    uplink.note_ack(max(numbers([(topic, payload)])))

            line.on_sent = acknowledge
            sending = asyncio.create_task(uplink.run())
            async with asyncio.timeout(60):
                while log.acked < 3 * BACKLOG - 1:
                    line.news.clear()
                    await line.news.wait()
            sending.cancel()
            await asyncio.gather(sending, return_exceptions=True)
            return line.sent

        sent = asyncio.run(run())
        assert set(numbers(sent)) == set(range(3 * BACKLOG))
        singles = [place for place, (topic, _) in enumerate(sent) if topic == TOPIC]
        again = [place for place, (topic, _) in enumerate(sent) if topic != TOPIC and place > singles[0]]
        assert 0 < singles.index(next(place for place in singles if place > again[0])) < 2 * IN_BATCH

    def test_goes_on_where_the_platform_is_after_a_restart(self, tmp_path: Path) -> None:
        log = a_log(tmp_path, readings=BACKLOG + 70)
        log.note_ack(59)
        log.close()

        sent = sent_until(RentalLog.open(log.path), lambda sent: BACKLOG + 69 in numbers(sent))

        assert min(numbers(sent)) == 60


def numbers(sent: list[tuple[str, str | bytes]]) -> list[int]:
    """Return the numbers of all readings sent, in order."""
    found: list[int] = []
    for topic, wire in sent:
        if topic == TOPIC:
            found.append(SignedReading.model_validate_json(wire).reading.seq)
        else:
            found += [each.reading.seq for each in ReadingBatch.model_validate_json(wire).readings]
    return found


class TestPause:
    def test_lasts_as_long_as_it_is_told_and_then_everything_is_sent_again(self, tmp_path: Path) -> None:
        log = a_log(tmp_path, readings=3)

        async def run() -> tuple[float, list[tuple[str, str | bytes]]]:
            line = OpenLine(ignore)
            uplink = Uplink(log, line=line, topic=TOPIC, announce=ignore)
            loop = asyncio.get_running_loop()
            moments: list[float] = []

            def heard(topic: str, payload: str | bytes) -> None:
                moments.append(loop.time())
                if len(moments) == 3:
                    uplink.pause(0.5)

            line.on_sent = heard
            sending = asyncio.create_task(uplink.run())
            async with asyncio.timeout(60):
                while len(line.sent) < 6:
                    line.news.clear()
                    await line.news.wait()
            sending.cancel()
            await asyncio.gather(sending, return_exceptions=True)
            return moments[3] - moments[2], line.sent

        waited, sent = asyncio.run(run())
        assert waited >= 0.5
        assert numbers(sent) == [0, 1, 2, 0, 1, 2]


class TestCbor:
    def test_carries_the_same_readings_singly_and_in_batches(self, tmp_path: Path) -> None:
        log = a_log(tmp_path, readings=BACKLOG + 1)
        batches = BACKLOG // IN_BATCH
        sent = sent_until(log, lambda sent: len(sent) == batches + 1, encoding="cbor")
        assert all(isinstance(payload, bytes) and is_cbor(payload) for _, payload in sent)
        found = [
            reading
            for _, payload in sent[:batches]
            if isinstance(payload, bytes)
            for reading in parse(ReadingBatch, payload).readings
        ]
        assert found == [logged.signed for logged in log.unacknowledged(-1)][:BACKLOG]
        topic, payload = sent[-1]
        assert isinstance(payload, bytes)
        assert (topic, parse(SignedReading, payload).reading.seq) == (TOPIC, BACKLOG)
