"""The marketplace over HTTP.

One method per call, timeouts everywhere, retries only where repeating does no harm.
"""

import uuid
from collections.abc import Mapping, Sequence
from typing import Any

from hireling.platform_calls.auctions import AuctionCalls
from hireling.platform_calls.bargaining import BargainingCalls
from hireling.platform_calls.machines import MachineCalls
from hireling.platform_calls.rentals import RentalCalls
from hireling.platform_views import PlatformView, WalletView
from hireling.rental.approval import SignedApproval
from hireling.rental.mandate import SignedRevocation
from hireling.rental.typed_data import to_hex


class PlatformClient(MachineCalls, BargainingCalls, AuctionCalls, RentalCalls):
    """One marketplace.

    Every method raises PlatformUnreachable, PlatformFault or PlatformRefused (see platform_errors).
    """

    async def platform(self) -> PlatformView:
        """Return the marketplace's own facts."""
        return await self._get("/v1/platform", PlatformView)

    async def health(self) -> Mapping[str, Any]:
        """Return how the marketplace's services are."""
        return await self._get("/health", dict[str, Any])

    # -- people over agents ---------------------------------------------------------------------------------

    async def revocations(self, principal: bytes) -> Sequence[SignedRevocation]:
        """Return a principal's latest words on its agents."""
        return await self._page(f"/v1/principals/{to_hex(principal)}/revocations", {}, SignedRevocation)

    async def revoke(self, word: SignedRevocation) -> SignedRevocation:
        """Stop agents, or let them go on; return the word that counts. Idempotent."""
        return await self._post("/v1/revocations", word.model_dump(mode="json"), SignedRevocation)

    async def approvals(self, rental_id: bytes) -> Sequence[SignedApproval]:
        """Return what principals said of a rental that needs their word."""
        return await self._page(f"/v1/approvals/{to_hex(rental_id)}", {}, SignedApproval)

    async def approve(self, word: SignedApproval) -> SignedApproval:
        """Let an agent sign a rental above its threshold, or forbid it; the first word counts. Idempotent."""
        return await self._post("/v1/approvals", word.model_dump(mode="json"), SignedApproval)

    # -- money -----------------------------------------------------------------------------------------------

    async def wallet(self, address: bytes) -> WalletView:
        """Return what the chain says of an address."""
        return await self._get(f"/v1/wallets/{to_hex(address)}", WalletView)

    async def faucet(self, address: bytes) -> WalletView:
        """Ask for test money, on a development chain."""
        # Nothing in it tells a repetition from a second wish: that gets the first one's answer by this key.
        headers = {"Idempotency-Key": str(uuid.uuid4())}
        return await self._post("/v1/faucet", {"address": to_hex(address)}, WalletView, headers=headers)

    async def withdraw(self, authorization: Mapping[str, Any]) -> Mapping[str, Any]:
        """Ask the marketplace to relay a signed transfer."""
        return await self._post("/v1/withdrawals", authorization, dict[str, Any])
