"""A renter's seat: the line that may be up before anybody listens."""

import asyncio
from collections.abc import Awaitable, Callable

from hireling.announce import Announce, Field
from hireling.mqtt_line import Broker, Listener, MqttLine
from hireling.renter.seat import EARLY_MESSAGES, Seat


class LineByHand(MqttLine):
    """A line that tests bring up."""

    def __init__(self, announce: Announce) -> None:
        super().__init__(Broker("nowhere", 1), topics=[], announce=announce)
        self.announce = announce
        self.listener: Listener | None = None

    async def run(self, listener: Listener) -> None:
        self.listener = listener
        await asyncio.Event().wait()

    async def come_up(self) -> None:
        await asyncio.sleep(0)
        self._up.set()
        assert self.listener is not None
        self.listener.on_line_up()


class Ear:
    """Notes what it hears."""

    def __init__(self) -> None:
        self.heard: list[str] = []

    def on_message(self, topic: str, payload: bytes) -> None:
        self.heard.append(f"{topic} {payload.decode()}")

    def on_line_up(self) -> None:
        self.heard.append("up")


class Stage:
    """A seat, the lines it made, and what was announced."""

    def __init__(self) -> None:
        self.lines: list[LineByHand] = []
        self.said: list[str] = []
        self.seat = Seat(self._make, announce=self._announce)

    def _make(self, announce: Announce) -> LineByHand:
        self.lines.append(LineByHand(announce))
        return self.lines[-1]

    def _announce(self, event: str, **fields: Field) -> None:
        self.said.append(event)


def story(play: Callable[[Stage], Awaitable[None]]) -> Callable[[], None]:
    """Return a test that plays this."""

    async def run() -> None:
        stage = Stage()
        try:
            await play(stage)
        finally:
            await stage.seat.leave()

    return lambda: asyncio.run(run())


async def _take(stage: Stage) -> "asyncio.Task[MqttLine]":
    taking = asyncio.create_task(stage.seat.take_early())
    await asyncio.sleep(0)  # it makes the line,
    await asyncio.sleep(0)  # which begins to run
    return taking


async def _hands_on(stage: Stage) -> None:
    taking = await _take(stage)
    assert stage.seat.line is None
    await stage.lines[0].come_up()
    assert await taking is stage.lines[0]
    assert stage.seat.line is stage.lines[0]
    stage.seat.on_message("readings", b"early")
    ear = Ear()
    async with stage.seat.taken_by(ear) as line:
        assert line is stage.lines[0]
        stage.seat.on_message("readings", b"late")
    assert ear.heard == ["up", "readings early", "readings late"]
    assert stage.seat.line is None


async def _begins_anew(stage: Stage) -> None:
    taking = await _take(stage)
    taking.cancel()
    # Not let in yet: that is no news before the money is there.
    stage.lines[0].announce("broker_lost", reason="not in use")
    async with stage.seat.taken_by(Ear()) as line:
        assert line is stage.lines[1]
        stage.lines[1].announce("broker_lost", reason="now it is")
    assert stage.said == ["broker_lost"]


async def _keeps_few(stage: Stage) -> None:
    taking = await _take(stage)
    await stage.lines[0].come_up()
    await taking
    for number in range(EARLY_MESSAGES + 5):
        stage.seat.on_message("readings", str(number).encode())
    ear = Ear()
    async with stage.seat.taken_by(ear):
        pass
    assert ear.heard[1:] == [f"readings {number}" for number in range(5, EARLY_MESSAGES + 5)]


test_hands_on_what_came_before_somebody_listened = story(_hands_on)
test_begins_anew_where_the_early_line_is_not_up_when_it_is_needed = story(_begins_anew)
test_keeps_no_flood = story(_keeps_few)
