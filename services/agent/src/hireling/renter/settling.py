"""After the last reading, the renter's side: the close is signed, the bill waited for, checked and kept."""

import asyncio
import contextlib
from dataclasses import dataclass
from pathlib import Path

from hireling.announce import Announce
from hireling.clock import Clock, growing
from hireling.durable import make_private_folder, write_atomically
from hireling.handing_in import HandingIn
from hireling.keystore import Key
from hireling.platform_client import PlatformClient
from hireling.platform_errors import PlatformError, PlatformNotFound, PlatformRefused
from hireling.platform_views import RentalView
from hireling.rental.bill import BillCheck, SignedBill, verify_bill
from hireling.rental.close import Close
from hireling.rental.errors import BillInvalid
from hireling.rental.signing import sign
from hireling.rental.states import TERMINAL, WITHOUT_BILL
from hireling.renter.book import Page
from hireling.renter.following import LONGEST_POLL_SECONDS, POLL_SECONDS, Following

COUNTERSIGNED_WITHIN_SECONDS = 10.0


class BillRefused(Exception):
    """The bill is wrong; the message names the place. Nothing more is signed."""


@dataclass(frozen=True)
class Kept:
    """A verified bill and where it lies."""

    signed: SignedBill
    check: BillCheck
    path: Path


class Settling:
    """Brings one wallet's rentals from their last readings to their bills."""

    def __init__(
        self,
        *,
        platform: PlatformClient,
        issuer: bytes,
        bills: Path,
        clock: Clock,
        announce: Announce,
        handing_in: HandingIn,
    ) -> None:
        self._handing_in = handing_in
        self._platform = platform
        self._issuer = issuer
        self._bills = bills
        self._clock = clock
        self._announce = announce
        self._said: dict[str, str] = {}

    async def settle(self, page: Page, key: Key) -> Kept | None:
        """Return the verified bill, None when the rental was cancelled. ``key`` is the rental's own.

        Raises BillRefused, PaidOut, NotTakenBack, PlatformError.
        """
        view, signed = await self._wait_for_the_end(page, key)
        if signed is None:
            self._announce("cancelled", rental_id=_id(page), state=view.state.value)
            return None
        self._announce(
            "settled",
            rental_id=_id(page),
            paid=view.claimed,
            fee=view.fee,
            refund=view.refund,
            state=view.state.value,
        )
        return self._keep(signed, page)

    async def _wait_for_the_end(self, page: Page, key: Key) -> tuple[RentalView, SignedBill | None]:
        """Hand in the renter's half of the close, and wait until the rental has a bill or was cancelled.

        Return how it ended, and its bill.
        """
        view: RentalView | None = None
        pauses = growing(POLL_SECONDS, longest=LONGEST_POLL_SECONDS)
        following = Following(self._platform, self._clock)
        while True:
            try:
                if view is not None and _has_half(view):
                    view = await following.step_after(view)
                else:  # also where it had it: it was restored from a backup since
                    view = await self._sign_close(page, key) or await self._platform.rental(
                        page.agreement.rental_id
                    )
                if view.state in WITHOUT_BILL:
                    return view, None
                if view.bill:
                    await self._wait_for_countersignature(view)
                    return view, await self._platform.bill(page.agreement.rental_id)
                if _has_half(view):
                    continue
            except PlatformError as error:
                self._say("platform_unreachable", detail=str(error))
                if isinstance(error, PlatformNotFound):
                    with contextlib.suppress(PlatformError):
                        await self._handing_in.hand_in_if_lost(page.agreement)
            await self._clock.sleep(next(pauses))

    def _say(self, event: str, *, detail: str) -> None:
        """Announce a difficulty once, not at every try."""
        if detail != self._said.get(event):
            self._announce(event, detail=detail)
        self._said[event] = detail

    async def _sign_close(self, page: Page, key: Key) -> RentalView | None:
        """Sign the same close as the owner's agent; return the rental with it, None where it is not taken."""
        reading = page.last_reading.reading if page.last_reading else None
        if reading is not None and not reading.last:
            return None  # the machine fell silent: claims and deadlines settle, nobody closes
        close = Close(
            rental_id=page.agreement.rental_id,
            use=reading.amount_due if reading else 0,
            damage=0,
            valid_until=page.agreement.agreement.claim_by,
        )
        signature = sign(key, page.agreement.domain, close)
        try:
            view = await self._platform.submit_close(close, by="renter", signature=signature)
        except PlatformRefused as error:
            self._say("close_refused", detail=str(error))
            return None
        self._announce("close_signed", rental_id=_id(page), use=close.use)
        return view

    def _keep(self, signed: SignedBill, page: Page) -> Kept:
        try:
            check = verify_bill(signed, issuer=self._issuer)
        except BillInvalid as error:
            raise BillRefused(f"the bill does not check: {error}") from error
        _compare(signed, page)
        path = make_private_folder(self._bills) / f"{_id(page)}.json"
        write_atomically(path, signed.model_dump_json(indent=1).encode())
        self._announce(
            "bill",
            rental_id=_id(page),
            path=str(path),
            checks=len(check.checks),
            total=int(signed.bill.total),
        )
        return Kept(signed=signed, check=check, path=path)

    async def _wait_for_countersignature(self, view: RentalView) -> None:
        """Wait a little for the owner's agent to sign the bill too: a bill is good without."""
        with contextlib.suppress(TimeoutError, PlatformError):
            async with asyncio.timeout(COUNTERSIGNED_WITHIN_SECONDS):
                following = Following(self._platform, self._clock)
                while not view.countersigned:
                    view = await following.step_after(view)


def _has_half(view: RentalView) -> bool:
    """Return whether the marketplace has the renter's half of the close, or needs it no more."""
    return view.state in TERMINAL or "renter" in view.closes_by


def _compare(signed: SignedBill, page: Page) -> None:
    if signed.bill.rental != page.agreement:
        raise BillRefused("the bill is of another rental than the one that was signed")
    last = page.last_reading
    if last is not None and (not signed.bill.readings or last not in signed.bill.readings):
        raise BillRefused(f"reading {last.reading.seq}, which was accepted, is not in the bill")


def _id(page: Page) -> str:
    return f"0x{page.agreement.rental_id.hex()}"
