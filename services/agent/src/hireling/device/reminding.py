"""A marketplace that was restored from a backup is reminded of what was agreed since.

The chain has the money and no terms: those are with the two sides alone. The machine hands in what both
signed, the last ceiling, and then every reading that its log still has.
"""

from collections.abc import Collection, Iterable

from hireling.announce import Announce
from hireling.clock import Clock
from hireling.device.engagement import Engagement
from hireling.handing_in import HandingIn, NotTakenBack, PaidOut
from hireling.platform_client import PlatformClient
from hireling.platform_errors import PlatformError, PlatformNotFound

# What was handed in is known everywhere in the marketplace some tenths of a second later.
HEARD_AFTER_SECONDS = 0.25
TRIES = 20


class Reminding:
    """Looks which of the machine's rentals the marketplace does not know, and hands them in."""

    def __init__(self, *, platform: PlatformClient, clock: Clock, announce: Announce) -> None:
        self._platform = platform
        self._clock = clock
        self._announce = announce
        self._handing_in = HandingIn(platform=platform, announce=announce)

    async def remind(self, engagements: Iterable[Engagement], *, known: Collection[bytes]) -> None:
        """Hand in what the marketplace lost; ``known`` are the rentals that it just named.

        What it does not take now is tried again at the next look, and holds up no other rental.
        """
        for engagement in engagements:
            if engagement.is_funded and (engagement.is_forgotten or engagement.rental_id not in known):
                try:
                    await self._remind(engagement)
                except PlatformError as error:
                    self._announce("platform_unreachable", detail=str(error))

    async def _remind(self, engagement: Engagement) -> None:
        try:
            if await self._handing_in.is_lost(engagement.rental_id):
                if not await self._handing_in.hand_in(engagement.agreement):
                    return
                engagement.is_forgotten = True
        except NotTakenBack:
            # It was said. The machine serves what it was paid for: its log proves that to the escrow. Once
            # that is done with the rental, there is nothing left to wait for.
            if await engagement.is_done_on_chain():
                engagement.on_paid_out()
            return
        except PaidOut:
            engagement.on_paid_out()
            return
        if engagement.is_forgotten and await self._hand_in_ceiling(engagement):
            engagement.on_remembered()

    async def _hand_in_ceiling(self, engagement: Engagement) -> bool:
        """Return whether the marketplace knows the rental, and what the renter allowed."""
        if engagement.ceiling is None:
            return True
        for _ in range(TRIES):
            try:
                await self._platform.submit_ceiling(engagement.rental_id, engagement.ceiling)
            except PlatformNotFound:
                await self._clock.sleep(HEARD_AFTER_SECONDS)
            else:
                return True
        return False
