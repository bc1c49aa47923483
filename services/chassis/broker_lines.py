"""A process's lines to one MQTT broker: opened in its version, kept up for ever, handed over at the end."""

import asyncio
import random
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress

from services.chassis.broker_line import BrokerLine, BrokerLost, open_line
from services.chassis.logging import get_logger
from services.chassis.mqtt_packets import Version
from services.chassis.mqtt_settings import MqttSettings

FIRST_PAUSE_SECONDS = 0.1
LONGEST_PAUSE_SECONDS = 10.0
HAND_OVER_SECONDS = 5.0
LOOK_SECONDS = 0.01

_log = get_logger(__name__)


class BrokerLines:
    """Opens lines to one broker, each holding at most so many messages and bytes in hand."""

    def __init__(self, mqtt: MqttSettings, *, most_in_hand: int, most_bytes_in_hand: int) -> None:
        self._mqtt = mqtt
        self._most_in_hand, self._most_bytes_in_hand = most_in_hand, most_bytes_in_hand
        self._versions = [Version.V5, Version.V3_1_1] if mqtt.mqtt_version == "5" else [Version.V3_1_1]

    @property
    def address(self) -> str:
        """Return the broker's host and port."""
        return f"{self._mqtt.host}:{self._mqtt.port}"

    async def open(self) -> BrokerLine:
        """Connect. Raises BrokerLost."""
        line = await open_line(
            self._mqtt,
            most_in_hand=self._most_in_hand,
            most_bytes_in_hand=self._most_bytes_in_hand,
            versions=self._versions,
        )
        # A broker keeps to its version: the next line tries it first.
        self._versions.sort(key=lambda version: version is not line.version)
        return line


async def stay_connected(
    serve: Callable[[], Awaitable[None]],
    *,
    stopping: asyncio.Event,
    ready: asyncio.Event,
    lost: Callable[[], None],
) -> None:
    """Serve one connection after the other until `stopping`.

    `serve` raises BrokerLost, alone or in a group, where its connection ends; `lost` is called after each.
    `ready` is what it sets once connected and subscribed.
    """
    pause = FIRST_PAUSE_SECONDS
    while not stopping.is_set():
        try:
            await serve()
        except* BrokerLost as errors:
            pause = FIRST_PAUSE_SECONDS if ready.is_set() else min(pause * 2, LONGEST_PAUSE_SECONDS)
            _log.warning("broker_lost", reason=str(errors.exceptions[0]), retry_seconds=pause)
        finally:
            ready.clear()
            lost()
        # Jittered, so that a restarted broker is not met by every process at once.
        await wait_at_most(stopping, pause * random.uniform(0.5, 1.0))


async def wait_at_most(event: asyncio.Event, seconds: float) -> None:
    """Wait for the event, or for so long."""
    with suppress(TimeoutError):
        async with asyncio.timeout(seconds):
            await event.wait()


async def hand_over(line: BrokerLine, topics: Sequence[str], *, is_busy: Callable[[], bool]) -> None:
    """Take nothing more, and return once what had arrived was taken and `is_busy` no longer holds.

    The broker has some time to hand over what is on its way; what it has queued for us may be endless.
    """
    with suppress(TimeoutError):
        async with asyncio.timeout(HAND_OVER_SECONDS):
            await line.unsubscribe(topics)
    line.hold()
    while line.has_arrivals or is_busy():  # noqa: ASYNC110 - whoever takes them empties it; this is the end
        await asyncio.sleep(LOOK_SECONDS)


def shared(topics: Sequence[str], *, group: str | None) -> list[str]:
    """Return the topics as copies of a process divide them, or as they are where there is no group."""
    return [f"$share/{group}/{topic}" for topic in topics] if group else list(topics)
