"""How a renter waits for its rental to go on."""

from hireling.clock import Clock, growing
from hireling.platform_client import PlatformClient
from hireling.platform_views import RentalView

POLL_SECONDS, LONGEST_POLL_SECONDS = 0.5, 5.0
# A marketplace that answers sooner than this, and says the same, does not wait itself.
WAITS_SECONDS = 4.0


class Following:
    """Waits for one rental's next steps: the marketplace does, and where it does not, by pauses that grow."""

    def __init__(self, platform: PlatformClient, clock: Clock) -> None:
        self._platform = platform
        self._clock = clock
        self._pauses = growing(POLL_SECONDS, longest=LONGEST_POLL_SECONDS)

    async def step_after(self, known: RentalView) -> RentalView:
        """Return the rental after its next step, or some seconds later as it is. Raises PlatformError."""
        asked_at = self._clock.monotonic_ms()
        view = await self._platform.rental_after(known)
        if view.progress is not None and view.progress != known.progress:
            self._pauses = growing(POLL_SECONDS, longest=LONGEST_POLL_SECONDS)
        elif self._clock.monotonic_ms() - asked_at < WAITS_SECONDS * 1_000:
            await self._clock.sleep(next(self._pauses))
        return view
