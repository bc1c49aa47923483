"""The renter's money: asked for, and waited for until the marketplace says that the escrow has it."""

import asyncio
import contextlib
from collections.abc import Mapping

from hireling.clock import Clock, growing
from hireling.handing_in import HandingIn
from hireling.json_rpc import ChainUnreachable
from hireling.mandate_ledger import MandateLedger
from hireling.platform_client import PlatformClient
from hireling.platform_errors import PlatformNotFound
from hireling.platform_views import RentalView
from hireling.rental.agreement import SignedAgreement
from hireling.rental.escrow_math import ALREADY_OPEN
from hireling.rental.states import State
from hireling.renter.following import LONGEST_POLL_SECONDS, POLL_SECONDS, Following
from hireling.renter.wallet import Wallet

# The money's side of the marketplace hears of an agreement about so much later.
HEARD_OF_SECONDS = 0.1
# A marketplace that has to be asked so seldom has not just heard of it: perhaps it lost it.
LAGS_SECONDS = 1.0
UNFUNDED = frozenset({State.QUOTED, State.AGREED})


class FundingFailed(Exception):
    """The escrow was not opened; nothing is locked. The message says why."""


class Funding:
    """Has the marketplace open the escrow for one wallet's rentals."""

    def __init__(
        self,
        *,
        platform: PlatformClient,
        wallet: Wallet,
        ledger: MandateLedger,
        clock: Clock,
        handing_in: HandingIn,
    ) -> None:
        self._handing_in = handing_in
        self._platform = platform
        self._wallet = wallet
        self._ledger = ledger
        self._clock = clock

    async def request(self, agreement: SignedAgreement) -> RentalView:
        """Sign the permit and have the escrow opened, unless it is; return the rental as it is then.

        Raises as the wallet and platform do, FundingFailed, PaidOut, NotTakenBack.
        """
        terms = agreement.agreement
        view = await self._look(agreement.rental_id)
        if view is not None and view.state not in UNFUNDED:
            return view
        # From here on the escrow may open, whatever becomes of this process.
        await asyncio.to_thread(self._ledger.note_opened, agreement.rental_id)
        permit = await self._wallet.permit(value=terms.all_in, deadline=terms.rules.fund_by)
        return await self._request(agreement, permit)

    async def wait(self, agreement: SignedAgreement, view: RentalView | None) -> RentalView:
        """Return the rental, of which this ``view`` is known, once its money is there or it is over without.

        Raises FundingFailed, PaidOut, NotTakenBack, ChainUnreachable where it is not known whether there is
        money.
        """
        pauses = growing(POLL_SECONDS, longest=LONGEST_POLL_SECONDS)
        following = Following(self._platform, self._clock)
        while view is None or view.state in UNFUNDED:
            _refuse_failed(view)
            await self._require_money_in_time(agreement)
            if view is None:  # it had it: it was restored from a backup since
                await self._handing_in.hand_in_if_lost(agreement)
                await self._clock.sleep(next(pauses))
                view = await self._look(agreement.rental_id)
            else:
                try:
                    view = await following.step_after(view)
                except PlatformNotFound:
                    view = None
        return view

    async def _request(self, agreement: SignedAgreement, permit: Mapping[str, str]) -> RentalView:
        pauses = growing(HEARD_OF_SECONDS, longest=LONGEST_POLL_SECONDS)
        while True:
            with contextlib.suppress(PlatformNotFound):
                return await self._platform.fund(agreement.rental_id, permit)
            await self._require_money_in_time(agreement)
            pause = next(pauses)
            if pause > LAGS_SECONDS:
                await self._handing_in.hand_in_if_lost(agreement)
            await self._clock.sleep(pause)

    async def _require_money_in_time(self, agreement: SignedAgreement) -> None:
        """Raise FundingFailed once it is too late for the escrow to open, unless it holds the money already.

        The marketplace's silence says nothing of that. Raises ChainUnreachable where the chain is silent too.
        """
        if self._clock.now().timestamp() <= agreement.agreement.rules.fund_by:
            return
        try:
            slot = await self._wallet.locked(agreement)
        except ChainUnreachable as error:
            raise ChainUnreachable(f"whether the escrow was opened in time is not known: {error}") from error
        if not slot.status:
            raise FundingFailed("the escrow was not opened in time; nothing is locked")

    async def _look(self, rental_id: bytes) -> RentalView | None:
        with contextlib.suppress(PlatformNotFound):
            return await self._platform.rental(rental_id)
        return None


def _refuse_failed(view: RentalView | None) -> None:
    for item in view.transactions if view else ():
        # Where the escrow has the rental already somebody else relayed it: its money is there.
        if item.status == "refused" and not (item.reason or "").startswith(ALREADY_OPEN):
            raise FundingFailed(f"the escrow refuses: {item.reason or 'no reason given'}; nothing is locked")
