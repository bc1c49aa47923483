"""The renter's money: asked for, and waited for until the marketplace says that the escrow has it."""

import asyncio
import contextlib
from collections.abc import Mapping

from hireling.clock import Clock, comes_within, growing
from hireling.mandate_ledger import MandateLedger
from hireling.platform_client import PlatformClient
from hireling.platform_errors import PlatformNotFound
from hireling.platform_views import RentalView
from hireling.rental.agreement import SignedAgreement
from hireling.rental.escrow_math import ALREADY_OPEN
from hireling.rental.states import State
from hireling.renter.seat import Seat
from hireling.renter.wallet import Wallet

POLL_SECONDS, LONGEST_POLL_SECONDS = 0.5, 5.0
# The money's side of the marketplace hears of an agreement about so much later.
HEARD_OF_SECONDS = 0.1
UNFUNDED = frozenset({State.QUOTED, State.AGREED})


class FundingFailed(Exception):
    """The escrow was not opened; nothing is locked. The message says why."""


class Funding:
    """Has the marketplace open the escrow for one wallet's rentals."""

    def __init__(
        self, *, platform: PlatformClient, wallet: Wallet, ledger: MandateLedger, clock: Clock
    ) -> None:
        self._platform = platform
        self._wallet = wallet
        self._ledger = ledger
        self._clock = clock

    async def request(self, agreement: SignedAgreement) -> None:
        """Sign the permit and have the escrow opened, unless it is. Raises as the wallet and platform do."""
        terms = agreement.agreement
        view = await self._look(agreement.rental_id)
        if view is None or view.state in UNFUNDED:
            # From here on the escrow may open, whatever becomes of this process.
            await asyncio.to_thread(self._ledger.note_opened, agreement.rental_id)
            permit = await self._wallet.permit(value=terms.all_in, deadline=terms.rules.fund_by)
            await self._request(agreement.rental_id, permit, terms.rules.fund_by)

    async def wait(self, agreement: SignedAgreement, seat: Seat) -> RentalView:
        """Return the rental once its money is there, or it is over without. Raises FundingFailed."""
        rental_id, fund_by = agreement.rental_id, agreement.agreement.rules.fund_by
        pauses = growing(POLL_SECONDS, longest=LONGEST_POLL_SECONDS)
        while (view := await self._look(rental_id)) is None or view.state in UNFUNDED:
            _refuse_failed(view)
            if self._clock.now().timestamp() > fund_by:
                raise FundingFailed("the escrow was not opened in time; nothing is locked")
            # Once its machine speaks it saw the money: the marketplace sees it within moments.
            if await comes_within(self._clock, next(pauses), seat.wait_for_word()):
                pauses = growing(HEARD_OF_SECONDS, longest=LONGEST_POLL_SECONDS)
        return view

    async def _request(self, rental_id: bytes, permit: Mapping[str, str], fund_by: int) -> None:
        while True:
            try:
                await self._platform.fund(rental_id, permit)
            except PlatformNotFound:
                if self._clock.now().timestamp() > fund_by:
                    raise
                await self._clock.sleep(HEARD_OF_SECONDS)
            else:
                return

    async def _look(self, rental_id: bytes) -> RentalView | None:
        with contextlib.suppress(PlatformNotFound):
            return await self._platform.rental(rental_id)
        return None


def _refuse_failed(view: RentalView | None) -> None:
    for item in view.transactions if view else ():
        # Where the escrow has the rental already somebody else relayed it: its money is there.
        if item.status == "refused" and not (item.reason or "").startswith(ALREADY_OPEN):
            raise FundingFailed(f"the escrow refuses: {item.reason or 'no reason given'}; nothing is locked")
