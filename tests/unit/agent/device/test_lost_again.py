"""A platform that was restored from a backup lacks what it acknowledged since: the device sends it again."""

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path

from hireling.device.log import RentalLog
from hireling.device.uplink import Uplink
from hireling.durable import make_private_folder
from tests.unit.agent.device.test_uplink import TOPIC, OpenLine, a_log, ignore, numbers

SILENCE = 0.05  # seconds
WITHIN = 60.0


def acknowledged(path: Path) -> RentalLog:
    """Return a log of six readings, all of which the platform has said it holds."""
    log = a_log(path, readings=6)
    log.note_ack(5)
    return log


def driven(
    log: RentalLog,
    *,
    stays: bool,
    act: Callable[[Uplink, OpenLine], Awaitable[None]],
    silence: float = SILENCE,
) -> list[int]:
    """Run an uplink while `act` plays the platform; return the numbers that were sent."""

    async def run() -> list[int]:
        line = OpenLine(ignore)
        uplink = Uplink(log, line=line, topic=TOPIC, announce=ignore, first_silence=silence)
        sending = asyncio.create_task(uplink.stay() if stays else uplink.run())
        async with asyncio.timeout(WITHIN):
            await act(uplink, line)
        sending.cancel()
        await asyncio.gather(sending, return_exceptions=True)
        return numbers(line.sent)

    return asyncio.run(run())


async def sent(line: OpenLine, seq: int) -> None:
    """Wait until this number was sent."""
    while seq not in numbers(line.sent):
        line.news.clear()
        await line.news.wait()


class TestLostAgain:
    def test_is_sent_again_from_where_the_platform_now_is(self, tmp_path: Path) -> None:
        async def act(uplink: Uplink, line: OpenLine) -> None:
            uplink.note_ack(2)
            await sent(line, 5)

        assert driven(acknowledged(tmp_path), stays=False, act=act)[:3] == [3, 4, 5]

    def test_an_acknowledgement_that_was_overtaken_says_nothing(self, tmp_path: Path) -> None:
        async def act(uplink: Uplink, line: OpenLine) -> None:
            uplink.note_ack(2)
            uplink.note_ack(5)
            await asyncio.sleep(4 * SILENCE)

        log = acknowledged(tmp_path)
        assert driven(log, stays=False, act=act) == []
        assert log.acked == 5

    def test_is_all_sent_again_to_a_platform_that_knows_of_no_reading(self, tmp_path: Path) -> None:
        async def act(uplink: Uplink, line: OpenLine) -> None:
            uplink.note_gap(6)
            await sent(line, 5)

        assert driven(acknowledged(tmp_path), stays=False, act=act)[:6] == [0, 1, 2, 3, 4, 5]

    def test_is_all_sent_again_to_a_platform_that_had_lost_the_rental(self, tmp_path: Path) -> None:
        async def act(uplink: Uplink, line: OpenLine) -> None:
            uplink.send_all_again()
            await sent(line, 5)

        for stays in (False, True):
            log = acknowledged(make_private_folder(tmp_path / str(stays)))
            assert driven(log, stays=stays, act=act)[:6] == [0, 1, 2, 3, 4, 5]

    def test_a_gap_before_what_nobody_acknowledged_is_no_loss(self, tmp_path: Path) -> None:
        log = a_log(tmp_path, readings=6)
        log.note_ack(2)

        async def act(uplink: Uplink, line: OpenLine) -> None:
            uplink.note_gap(5)
            await asyncio.sleep(4 * SILENCE)

        # Long enough that it sends nothing again for want of an answer.
        assert driven(log, stays=False, act=act, silence=WITHIN) == [3, 4, 5]
        assert log.acked == 2


class TestAfterTheEnd:
    def test_the_last_reading_asks_at_each_new_connection(self, tmp_path: Path) -> None:
        log = acknowledged(tmp_path)
        log.note_end("renter_stopped")

        async def act(uplink: Uplink, line: OpenLine) -> None:
            line.connections += 1
            uplink.send_again()
            await sent(line, 5)
            uplink.note_ack(3)
            await sent(line, 4)

        assert driven(log, stays=True, act=act)[:3] == [5, 4, 5]

    def test_nothing_is_said_where_the_line_stayed_up(self, tmp_path: Path) -> None:
        log = acknowledged(tmp_path)
        log.note_end("renter_stopped")

        async def act(uplink: Uplink, line: OpenLine) -> None:
            uplink.wake()
            await asyncio.sleep(4 * SILENCE)

        assert driven(log, stays=True, act=act) == []
