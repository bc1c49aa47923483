"""A machine comes to a real marketplace by clocks that are wrong."""

import asyncio
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest

from hireling.announce import silent
from hireling.device.offering import Wishes
from hireling.device.presence import LONGEST_PROOF_HOLDS, Presence
from hireling.platform_client import PlatformClient
from hireling.platform_errors import PlatformRefused
from hireling.rental.documents import document_hash
from tests.builders import METER_KEY, NOW, OWNER_AGENT_KEY, OWNER_KEY
from tests.fakes.front import Front, running_front, sqlite_urls
from tests.unit.agent.device.test_bookings import IdleDriver
from tests.unit.agent.rentals import HandClock

HandFront = Front[HandClock]
AHEAD = timedelta(minutes=5)


@pytest.fixture
def front(tmp_path: Path) -> Iterator[HandFront]:
    """Run the front at a moment that tests move."""
    with running_front(sqlite_urls(tmp_path), clock=HandClock(NOW)) as running:
        yield running


def arrive(front: HandFront, clock: HandClock) -> Presence:
    """Have the machine come by this clock; return its presence."""

    async def journey() -> Presence:
        platform = PlatformClient("http://market", transport=front.transport())
        presence = Presence(
            platform=platform,
            facts=await platform.platform(),
            machine=IdleDriver.facts,
            wishes=Wishes(),
            owner=OWNER_KEY,
            agent=OWNER_AGENT_KEY,
            meter=METER_KEY,
            clock=clock,
            announce=silent,
        )
        await presence.arrive()
        return presence

    return asyncio.run(journey())


@pytest.mark.parametrize("spells", [1, 2])
def test_is_listed_as_soon_as_its_clock_which_was_ahead_is_right_again(front: HandFront, spells: int) -> None:
    for _ in range(spells):
        front.clock.advance(1)
        with pytest.raises(PlatformRefused) as caught:
            arrive(front, HandClock(front.clock.now() + AHEAD))
        assert caught.value.code == "listing_expiry"
    # Each start, and each renewal, brings a mandate of its own.
    for _ in range(2):
        front.clock.advance(1)
        presence = arrive(front, HandClock(front.clock.now()))
        assert presence.listed is not None
        (found,) = front.get("/v1/listings")["items"]
        assert found["listing"] == f"0x{document_hash(presence.listed.document).hex()}"


def test_proves_nothing_for_longer_than_any_marketplace_may_ask(front: HandFront) -> None:
    with pytest.raises(PlatformRefused):
        arrive(front, HandClock(front.clock.now() + AHEAD))
    front.clock.advance(-LONGEST_PROOF_HOLDS.total_seconds())
    with pytest.raises(PlatformRefused) as caught:
        arrive(front, HandClock(front.clock.now()))
    assert caught.value.code == "registration_superseded"
