"""Names to enter the broker with, got from the marketplace for a signature.

A name is good for hours. A new one is got when two thirds of that have passed; the connection that is up goes
on until the broker ends it, and the next one uses the new name.
"""

import asyncio
import secrets
from dataclasses import dataclass

from hireling.clock import Clock
from hireling.mqtt_line import Credentials, NotLetIn
from hireling.platform_client import PlatformClient
from hireling.platform_errors import PlatformError, PlatformRefused
from hireling.platform_views import AccessView
from hireling.rental.access import NO_RENTAL, sign_access
from hireling.rental.signing import Signer
from hireling.rental.typed_data import Domain

RENEW_AFTER_SHARE = 2 / 3
RENEW_AGAIN_SECONDS = 30.0
# The broker learns of a new name a moment after we do.
UNKNOWN_FOR_SECONDS = 15.0
# Another run of ours may have asked in between, or an answer was lost on its way.
TRIES = 3
USED = "access_replayed"


@dataclass(frozen=True)
class _Held:
    view: AccessView
    since_ms: int


class BrokerPass:
    """One key's way into the broker: a device's by its meter, a renter's by the rental's session key."""

    def __init__(
        self,
        platform: PlatformClient,
        *,
        domain: Domain,
        key: Signer,
        device: bytes,
        clock: Clock,
        rental_id: bytes = NO_RENTAL,
    ) -> None:
        self._platform = platform
        self._domain = domain
        self._key = key
        self._device = device
        self._clock = clock
        self._rental_id = rental_id
        self._held: _Held | None = None

    async def credentials(self) -> Credentials:
        """Return a name and its password, a new one where the last is used up. Raises NotLetIn."""
        held = self._held
        if held is None or self._age(held) >= held.view.seconds:
            held = await self._renew()
        return Credentials(held.view.username, held.view.password)

    def note_refused(self) -> bool:
        """Ask for a new name next time, unless the broker may not have heard of this one yet."""
        held = self._held
        if held is not None and self._age(held) < UNKNOWN_FOR_SECONDS:
            return True
        self._held = None
        return False

    async def keep_fresh(self) -> None:
        """Get a new name before this one ends, until cancelled."""
        while True:
            held = self._held
            if held is None:
                return
            left = held.view.seconds * RENEW_AFTER_SHARE - self._age(held)
            if left > 0:
                await self._clock.sleep(left)
                continue
            try:
                await self._renew()
            except NotLetIn:
                # The old one still serves; what is wrong will be told when it ends.
                await self._clock.sleep(RENEW_AGAIN_SECONDS)

    async def _renew(self) -> _Held:
        try:
            view = await self._ask()
        except PlatformError as error:
            raise NotLetIn(f"the marketplace gives no way into its broker: {error}") from error
        self._held = held = _Held(view, self._clock.monotonic_ms())
        return held

    async def _ask(self) -> AccessView:
        left = TRIES
        while True:
            left -= 1
            challenge = await self._platform.broker_challenge()
            wish = sign_access(
                self._key, self._domain, challenge, device=self._device, rental_id=self._rental_id
            )
            try:
                return await self._platform.broker_access(wish)
            except PlatformRefused as error:
                if error.code != USED or not left:
                    raise
            # Two who ask at one moment must not meet again.
            await asyncio.sleep(secrets.randbelow(200) / 1000)

    def _age(self, held: _Held) -> float:
        return (self._clock.monotonic_ms() - held.since_ms) / 1000
