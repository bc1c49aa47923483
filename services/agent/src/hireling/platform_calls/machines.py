"""Machines: who they are, that they live, what they offer, how they enter the broker."""

from collections.abc import Mapping, Sequence
from typing import Any

from hireling.platform_calls.line import Line
from hireling.platform_views import AccessView, DeviceView, ListingView, WorkView
from hireling.rental.access import BrokerChallenge, SignedBrokerAccess
from hireling.rental.listing import Heartbeat, SignedListing
from hireling.rental.typed_data import to_hex


class MachineCalls(Line):
    """What is asked about machines."""

    async def register(self, registration: Mapping[str, Any]) -> DeviceView:
        """Make a device known; idempotent."""
        return await self._post("/v1/devices", registration, DeviceView)

    async def device(self, device: bytes) -> DeviceView:
        """Return a device."""
        return await self._get(f"/v1/devices/{to_hex(device)}", DeviceView)

    async def heartbeat(self, heartbeat: Heartbeat, signature: bytes) -> None:
        """Say that the device is alive."""
        body = {"heartbeat": heartbeat.model_dump(mode="json"), "signature": to_hex(signature)}
        await self._post(f"/v1/devices/{to_hex(heartbeat.device)}/heartbeats", body, dict[str, Any])

    async def work(self, device: bytes) -> WorkView:
        """Return what waits for the device's agent."""
        return await self._get(f"/v1/devices/{to_hex(device)}/work", WorkView)

    async def publish_listing(self, listing: SignedListing) -> ListingView:
        """Offer the device; replaces its earlier listing."""
        return await self._post("/v1/listings", listing.model_dump(mode="json"), ListingView)

    async def listing(self, listing: str) -> ListingView:
        """Return one listing, by its hash."""
        return await self._get(f"/v1/listings/{listing}", ListingView)

    async def listings(
        self, *, kind: str | None = None, online: bool | None = None, limit: int = 50
    ) -> Sequence[ListingView]:
        """Return listings, the first page."""
        query = {"kind": kind, "online": None if online is None else str(online).lower(), "limit": str(limit)}
        return await self._page("/v1/listings", query, ListingView)

    async def broker_challenge(self) -> BrokerChallenge:
        """Return what a wish to enter the broker must carry."""
        return await self._get("/v1/broker/challenge", BrokerChallenge)

    async def broker_access(self, wish: SignedBrokerAccess) -> AccessView:
        """Ask to be let in at the broker.

        An answer with a password in it is kept nowhere: where it was lost, the same wish again is refused
        (access_replayed), and a new challenge is needed.
        """
        return await self._send(
            "POST",
            "/v1/broker/access",
            AccessView,
            content=wish.model_dump_json(),
            headers={"Content-Type": "application/json"},
        )
