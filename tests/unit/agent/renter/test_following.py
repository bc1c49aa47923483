"""A rental is waited for by the marketplace, and where that does not wait, by the renter."""

import asyncio
from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import cast

import pytest

from hireling.platform_client import PlatformClient
from hireling.platform_views import RentalView
from hireling.renter.following import LONGEST_POLL_SECONDS, POLL_SECONDS, Following
from tests.unit.agent.rentals import HandClock


@dataclass
class Marketplace:
    """A rental that goes on by itself, and how long a question for its next step takes."""

    clock: HandClock = field(default_factory=HandClock)
    progress: int | None = 1
    waits: float = 0.0
    steps: bool = False
    asked: int = 0

    async def rental_after(self, known: RentalView) -> RentalView:
        """Wait so long, and return the rental."""
        self.asked += 1
        await self.clock.sleep(self.waits)
        if self.steps and self.progress is not None:
            self.progress += 1
        return self.view

    @property
    def view(self) -> RentalView:
        """Return the rental as it is."""
        return cast(RentalView, SimpleNamespace(progress=self.progress))


def follow(market: Marketplace, *, times: int) -> float:
    """Wait for so many steps; return the seconds that it took."""
    began = market.clock.now()
    following = Following(cast(PlatformClient, market), market.clock)

    async def wait() -> None:
        view = market.view
        for _ in range(times):
            view = await following.step_after(view)

    asyncio.run(wait())
    return (market.clock.now() - began).total_seconds()


def test_a_marketplace_that_waits_is_asked_again_at_once() -> None:
    assert follow(Marketplace(waits=8.0), times=5) == 40.0


def test_a_step_is_told_at_once() -> None:
    assert follow(Marketplace(steps=True), times=5) == 0.0


@pytest.mark.parametrize("progress", [1, None])
def test_one_that_does_not_wait_is_asked_ever_less(progress: int | None) -> None:
    """None: a marketplace of before there were such long polls."""
    market = Marketplace(progress=progress)
    assert follow(market, times=1) == pytest.approx(POLL_SECONDS)
    assert follow(market, times=100) > 80 * LONGEST_POLL_SECONDS
