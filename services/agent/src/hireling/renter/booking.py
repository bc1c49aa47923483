"""Between the money and the agreed start: a rental that is booked, and may be called off or declined."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta

from hireling.announce import Announce
from hireling.clock import Clock
from hireling.platform_client import PlatformClient
from hireling.platform_errors import PlatformError
from hireling.rental.agreement import SignedAgreement
from hireling.rental.states import WITHOUT_BILL

CALLED_OFF_WITHIN_SECONDS = 1.0
LOOK_EVERY = timedelta(seconds=10)


async def wait_for_start(
    agreement: SignedAgreement,
    *,
    platform: PlatformClient,
    clock: Clock,
    announce: Announce,
    is_called_off: Callable[[], bool],
) -> bool:
    """Wait until the agreed start, or until the renter calls the rental off.

    Return False where the owner's agent closed it instead: its machine was promised to somebody else.
    """
    start = datetime.fromtimestamp(agreement.agreement.pay.start_at, UTC)
    if clock.now() < start:
        announce("booked", rental_id=f"0x{agreement.rental_id.hex()}", start_at=f"{start:%Y-%m-%d %H:%M} UTC")
    looked_at = clock.now()
    while clock.now() < start and not is_called_off():
        left = (start - clock.now()).total_seconds()
        await clock.sleep(min(left, CALLED_OFF_WITHIN_SECONDS))
        if clock.now() - looked_at > LOOK_EVERY:
            looked_at = clock.now()
            if await was_declined(agreement.rental_id, platform=platform, announce=announce):
                return False
    return True


async def was_declined(rental_id: bytes, *, platform: PlatformClient, announce: Announce) -> bool:
    """Return whether a rental without readings is over for its owner's agent: its money comes back."""
    try:
        view = await platform.rental(rental_id)
    except PlatformError as error:
        announce("platform_unreachable", detail=str(error))
        return False
    if view.state not in WITHOUT_BILL and (view.seq is not None or "owner" not in view.closes_by):
        return False
    announce("declined", rental_id=f"0x{rental_id.hex()}", detail="its owner's agent closed it unused")
    return True
