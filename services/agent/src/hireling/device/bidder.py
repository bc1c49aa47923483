"""The machine's own bids in reverse auctions: a renter asks, and it says for how much it would serve."""

import asyncio
import secrets
from collections.abc import Awaitable, Callable, Collection
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Protocol

from hireling.announce import Announce
from hireling.auctions.admission import check_machine_bid, check_mandate
from hireling.auctions.asking import asked_amount
from hireling.auctions.awards import last_asked_at
from hireling.auctions.bids import Bid, SignedBid, seal, sign_bid
from hireling.auctions.notice import AuctionNotice
from hireling.auctions.steps import steps
from hireling.clock import Clock
from hireling.device.bookings import Bookings
from hireling.device.offering import LISTED_AGAIN_AFTER
from hireling.platform_client import PlatformClient
from hireling.platform_errors import PlatformError, PlatformNotFound, PlatformRefused
from hireling.platform_views import AuctionView
from hireling.rental.errors import AuctionRefused, MandateExceeded, RentalError
from hireling.rental.listing import ListingDocument, SignedListing
from hireling.rental.mandate import SignedMandate
from hireling.rental.signing import Signer
from hireling.rental.slot import Slot, end_by, slot_of
from hireling.rental.typed_data import Domain, to_hex
from hireling.sealed_bids import SealedBids

LOOK_EVERY_SECONDS = 15.0
TRY_AGAIN_SECONDS = 1.0
# The marketplace's clock decides, and may be a little behind ours.
CLOCK_SECONDS = 1
MOST_RIVALS = 50
MOST_LIVE = 200


@dataclass
class Made:
    """A bid of this machine's, and how far it came."""

    signed: SignedBid
    notice: AuctionNotice
    is_in: bool = False
    is_revealed: bool = False
    is_won: bool = False


class Standing(Protocol):
    """What the machine offers now, and under which mandate: its presence."""

    @property
    def domain(self) -> Domain:
        """Return the marketplace's domain."""
        ...

    @property
    def mandate(self) -> SignedMandate:
        """Return the owner's mandate for this agent."""
        ...

    @property
    def listed(self) -> SignedListing | None:
        """Return the present listing, None before the first."""
        ...

    @property
    def listed_at(self) -> datetime:
        """Return when it was published."""
        ...


@dataclass(frozen=True, kw_only=True)
class BidBrief:
    """What the machine bids by. ``least_percent`` tells the owner's floor for a listing, in percent of it."""

    least_percent: Callable[[bytes], int]
    bookings: Bookings
    require_allowed: Callable[[], Awaitable[None]]
    """Raises MandateExceeded where the owner stopped this agent, PlatformError where that is not known."""
    bids: SealedBids


class Bidder:
    """Looks for reverse auctions that want such a machine; bids once in each, and reveals in time."""

    def __init__(
        self,
        *,
        platform: PlatformClient,
        presence: Standing,
        key: Signer,
        clock: Clock,
        announce: Announce,
        brief: BidBrief,
    ) -> None:
        self._platform = platform
        self._presence = presence
        self._key = key
        self._clock = clock
        self._announce = announce
        self._brief = brief
        self._made: dict[bytes, Made] = {}
        self._left: set[bytes] = set()
        self._is_away = False

    @property
    def is_bound(self) -> bool:
        """Return whether a bid waits for its outcome: the listing that it names has to stand until then."""
        return bool(self._made)

    async def stay(self) -> None:
        """Bid until cancelled."""
        await self.resume()
        while True:
            try:
                await self.turn()
                self._is_away = False
            except PlatformError as error:
                if not self._is_away:
                    self._announce("platform_unreachable", detail=str(error))
                self._is_away = True
            await self._clock.sleep(self._until_next())

    async def resume(self) -> None:
        """Go on with the bids that were made before a restart."""
        for signed in await asyncio.to_thread(self._brief.bids.all):
            await self._remember(signed)

    async def _remember(self, signed: SignedBid) -> None:
        while True:
            try:
                view = await self._platform.auction(signed.bid.auction)
            except PlatformNotFound:
                # It was kept, and never came in.
                await asyncio.to_thread(self._brief.bids.forget, signed)
            except PlatformError as error:
                self._announce("platform_unreachable", detail=str(error))
                await self._clock.sleep(LOOK_EVERY_SECONDS)
                continue
            else:
                self._made[view.auction] = Made(signed, view.notice.notice)
            return

    async def turn(self) -> None:
        """Carry every bid on as far as it is time for, and bid where it is new. Raises PlatformError."""
        for made in list(self._made.values()):
            await self._carry_on(made)
        listing = self._presence.listed
        if listing is None:
            return
        views = await self._platform.auctions(rule="reverse", limit=MOST_LIVE)
        self._left &= {view.auction for view in views}
        for view in views:
            is_new = view.auction not in self._made and view.auction not in self._left
            if is_new and self._is_open(view, listing.document.kind):
                await self._consider(view, listing)

    def _is_open(self, view: AuctionView, kind: str) -> bool:
        notice = view.notice.notice
        return notice.kind in {None, kind} and notice.opens_at <= self._now < notice.closes_at

    # -- a new auction ---------------------------------------------------------------------------------------

    async def _consider(self, view: AuctionView, listing: SignedListing) -> None:
        notice = view.notice.notice
        try:
            view.notice.check(self._presence.domain)
            await self._brief.require_allowed()
            rivals = await self._rivals(notice, listing.document)
            bid = self._bid(view.auction, notice, listing, rivals)
            signed = sign_bid(self._key, self._presence.domain, bid)
            check_machine_bid(notice, signed, listing, domain=self._presence.domain)
            self._check_bounds(notice, listing.document, signed.bid.amount)
            signed = await asyncio.to_thread(self._brief.bids.keep, signed)
        except RentalError as error:
            self._leave(view.auction, error.code, str(error))
            return
        except OSError as error:
            self._leave(view.auction, "disk_refuses", str(error))
            return
        made = self._made[view.auction] = Made(signed, notice)
        self._announce(
            "bid_made",
            auction=to_hex(view.auction),
            amount=signed.bid.amount,
            reason=f"the floor is {self._brief.least_percent(listing.hash)} % of the price, "
            f"{len(rivals)} other machines may bid",
        )
        await self._carry_on(made)

    def _bid(
        self, auction: bytes, notice: AuctionNotice, listing: SignedListing, rivals: Collection[bytes]
    ) -> Bid:
        """Return what to bid. Raises AuctionRefused where nothing is within both sides' bounds."""
        document, percent = listing.document, self._brief.least_percent(listing.hash)
        amounts = steps(document, notice.seconds)
        bearable = [amount for amount, step in amounts.items() if step >= percent]
        asked = asked_amount(bearable, limit=notice.limit, rivals=len(rivals))
        if asked is None:
            raise AuctionRefused(
                "below_floor",
                f"the renter pays {notice.limit} at most, less than {percent} % of the listed price",
            )
        return Bid(
            auction=auction,
            bidder=self._key.identity,
            device=document.device,
            listing=listing.hash,
            amount=asked,
            salt=secrets.token_bytes(32),
        )

    def _check_bounds(self, notice: AuctionNotice, listing: ListingDocument, amount: int) -> None:
        """Raise AuctionRefused or MandateExceeded where the machine could not keep what it bids."""
        mandate, now = self._presence.mandate, self._clock.now()
        check_mandate(mandate, listing, notice, amount=amount, now=now)
        threshold = mandate.limits.approval_above
        if threshold is not None and amount + listing.deposit > threshold:
            raise MandateExceeded(
                "needs_approval", "a person has to agree to this amount, and a bid cannot wait for that"
            )
        renewed = self._presence.listed_at + LISTED_AGAIN_AFTER
        if datetime.fromtimestamp(last_asked_at(notice), UTC) > renewed:
            raise AuctionRefused("listed_anew", "the machine lists itself anew before the last award ends")
        slot = self._slot(notice, listing, now)
        others = [
            self._slot(made.notice, listing, now) for made in self._made.values() if made.notice is not notice
        ]
        if not self._brief.bookings.is_free(slot, now=now) or any(slot.overlaps(other) for other in others):
            raise AuctionRefused("slot_taken", "the machine is promised, or offered elsewhere, for that time")

    def _slot(self, notice: AuctionNotice, listing: ListingDocument, now: datetime) -> Slot:
        ends = end_by(
            fund_by=notice.settled_by + notice.award_seconds,
            start_at=notice.start_at,
            seconds=notice.seconds,
            grace=listing.grace,
        )
        return slot_of(
            start_at=notice.start_at, ends=ends, turnaround=self._brief.bookings.turnaround, now=now
        )

    async def _rivals(self, notice: AuctionNotice, own: ListingDocument) -> Collection[bytes]:
        """Return the other machines here that could bid within the renter's limit."""
        views = await self._platform.listings(kind=own.kind, online=True, limit=MOST_RIVALS)
        return {
            view.document.device
            for view in views
            if view.document.device != own.device
            and view.document.max_seconds >= notice.seconds
            and min(steps(view.document, notice.seconds)) <= notice.limit
        }

    def _leave(self, auction: bytes, code: str, reason: str) -> None:
        self._left.add(auction)
        self._announce("auction_left", auction=to_hex(auction), code=code, reason=reason)

    # -- a bid of ours ---------------------------------------------------------------------------------------

    async def _carry_on(self, made: Made) -> None:
        notice, now = made.notice, self._now
        try:
            if now < notice.closes_at:
                if not made.is_in:
                    await self._platform.commit_bid(seal(self._key, self._presence.domain, made.signed.bid))
                    made.is_in = True
            elif now < notice.settled_by:
                if not made.is_revealed and now >= notice.closes_at + CLOCK_SECONDS:
                    await self._platform.place_bid(made.signed)
                    made.is_revealed = True
                    self._announce(
                        "bid_revealed",
                        auction=to_hex(made.signed.bid.auction),
                        amount=made.signed.bid.amount,
                    )
            else:
                await self._look_at_outcome(made)
        except PlatformRefused as error:
            if error.code != "not_revealing":
                self._leave(made.signed.bid.auction, error.code, str(error))
                await self._forget(made)

    async def _look_at_outcome(self, made: Made) -> None:
        """Say so when the machine is awarded, and let go when no award can come any more."""
        view = await self._platform.auction(made.signed.bid.auction)
        states = {each.state for each in view.awards if each.award.bidder == self._key.identity}
        if states & {"standing", "agreed"} and not made.is_won:
            made.is_won = True
            self._announce("auction_won", auction=to_hex(view.auction), amount=made.signed.bid.amount)
        if view.done or self._now > last_asked_at(made.notice):
            if not made.is_won:
                self._announce("auction_lost", auction=to_hex(view.auction))
            await self._forget(made)

    async def _forget(self, made: Made) -> None:
        self._made.pop(made.signed.bid.auction, None)
        self._left.add(made.signed.bid.auction)
        await asyncio.to_thread(self._brief.bids.forget, made.signed)

    # -- time ------------------------------------------------------------------------------------------------

    @property
    def _now(self) -> int:
        return int(self._clock.now().timestamp())

    def _until_next(self) -> float:
        """Return the seconds until there is something to do: to look again, or to reveal."""
        reveals = [
            made.notice.closes_at + CLOCK_SECONDS - self._clock.now().timestamp()
            for made in self._made.values()
            if not made.is_revealed and self._now < made.notice.settled_by
        ]
        return max(TRY_AGAIN_SECONDS, min([LOOK_EVERY_SECONDS, *reveals]))
