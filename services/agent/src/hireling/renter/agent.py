"""The renter's agent: from a wish to a verified bill.

From any crash in between it comes back onto the same rental.
"""

import asyncio
import secrets
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from datetime import timedelta
from functools import cache
from pathlib import Path

from hireling.announce import Announce
from hireling.broker_pass import BrokerPass
from hireling.clock import Clock
from hireling.handing_in import HandingIn, NotTakenBack, PaidOut
from hireling.json_rpc import ChainUnreachable
from hireling.keystore import Key, Keystore
from hireling.mqtt_line import Broker, MqttLine
from hireling.platform_client import PlatformClient
from hireling.platform_views import ListingView, PlatformView
from hireling.rental.agreement import SignedAgreement
from hireling.rental.escrow_math import Status
from hireling.rental.signing import Secp256k1Key
from hireling.rental.states import WITHOUT_BILL
from hireling.rental.tariff import worst_case
from hireling.renter.bargainer import Bargainer, Brief, NoDeal, Wish
from hireling.renter.book import Page, RenterBook
from hireling.renter.booking import wait_for_start
from hireling.renter.funding import Funding, FundingFailed
from hireling.renter.ride import Ride, topics_of
from hireling.renter.seat import Seat
from hireling.renter.settling import Kept, Settling
from hireling.renter.wallet import Wallet


def cheapest(listings: Sequence[ListingView], *, seconds: int | None) -> ListingView:
    """Return the listing with the lowest worst case. Raises NoDeal when there is none."""
    live = [listing for listing in listings if listing.online and listing.registered]
    if not live:
        raise NoDeal("no machine that fits is online; `hireling devices` shows what is there")
    return min(live, key=lambda listing: worst_case(listing.document.tariff, seconds or seconds_for(listing)))


def seconds_for(listing: ListingView) -> int:
    """Return how long to rent a machine for when the renter does not say.

    What its listing suggests, or two minutes.
    """
    suggested = listing.document.thing.get("hireling:seconds")
    is_sensible = isinstance(suggested, int) and 0 < suggested <= listing.document.max_seconds
    return suggested if is_sensible and isinstance(suggested, int) else min(120, listing.document.max_seconds)


class RenterAgent:
    """Rents for one wallet."""

    def __init__(
        self,
        *,
        platform: PlatformClient,
        facts: PlatformView,
        wallet: Wallet,
        wallet_key: Secp256k1Key,
        keys: Keystore,
        book: RenterBook,
        bills: Path,
        clock: Clock,
        announce: Announce,
        brief: Brief,
        stop_after: timedelta | None = None,
    ) -> None:
        """``stop_after`` stops the machine that long after its first reading."""
        self._stop_after = stop_after
        self._brief = brief
        self._platform = platform
        self._facts = facts
        self._wallet = wallet
        self._wallet_key = wallet_key
        self._keys = keys
        self._book = book
        self._clock = clock
        self._announce = announce
        self._ride: Ride | None = None
        self._opened: tuple[str, Key] | None = None
        self._wants_stop = False
        handing_in = HandingIn(platform=platform, announce=announce)
        self._funding = Funding(
            platform=platform, wallet=wallet, ledger=brief.ledger, clock=clock, handing_in=handing_in
        )
        self._settling = Settling(
            platform=platform,
            issuer=facts.bill_signer,
            bills=bills,
            clock=clock,
            announce=announce,
            handing_in=handing_in,
        )

    def stop(self) -> None:
        """Stop the machine that is rented, now or as soon as it runs."""
        self._wants_stop = True
        if self._ride is not None:
            self._ride.stop()

    async def rent(
        self, listing: ListingView, *, seconds: int | None, budget: int | None, start_at: int | None = None
    ) -> Kept | None:
        """Rent a machine to the end; return its verified bill, None when the rental was cancelled unused.

        ``start_at`` books it for a later time, in Unix seconds.

        Raises NoDeal, FundingFailed, BillRefused, PaidOut, NotTakenBack, PlatformError,
        ChainUnreachable.
        """
        wish = Wish(
            listing=listing, seconds=seconds or seconds_for(listing), budget=budget, start_at=start_at
        )
        # A key of its own for every rental: the chain shows no pattern, and a lost one costs one block.
        return await self._rent(wish, session_key=f"session-{secrets.token_hex(8)}")

    async def take(
        self, listing: ListingView, *, seconds: int, start_at: int, won: int, session_key: str
    ) -> Kept | None:
        """Take what an auction awarded, by the key that bid, and carry it on as ``rent`` does."""
        wish = Wish(listing=listing, seconds=seconds, budget=None, start_at=start_at, won=won)
        return await self._rent(wish, session_key=session_key)

    async def _rent(self, wish: Wish, *, session_key: str) -> Kept | None:
        listing = wish.listing
        self._announce(
            "found",
            device=f"0x{listing.document.device.hex()}",
            listing=f"0x{listing.listing.hex()}",
            title=listing.document.title,
            kind=listing.document.kind,
            limit=wish.limit,
            seconds=wish.seconds,
        )
        await self._check_purse(wish)
        session = self._keys.load_or_create(session_key)
        bargainer = Bargainer(
            platform=self._platform,
            facts=self._facts,
            wallet=self._wallet_key,
            session=session,
            clock=self._clock,
            announce=self._announce,
            brief=self._brief,
        )
        agreement = await bargainer.agree(wish)
        page = self._book.write(Page(agreement=agreement, session_key=session_key, stage="agreed"))
        self._announce("agreed", rental_id=_id(page), max_total=agreement.agreement.pay.max_total)
        return await self.carry(page)

    async def carry(self, page: Page) -> Kept | None:
        """Carry a rental on from where its page says it is. Raises as ``rent`` does."""
        try:
            return await self._carry(page)
        except NotTakenBack as error:
            # Until the escrow is done the owner may claim: what is locked counts, and the page stays open.
            if not await self._is_paid_out(page.agreement):
                raise
            await self._end_without_bill(page.agreement.rental_id)
            raise PaidOut.of(page.agreement) from error
        except PaidOut:
            await self._end_without_bill(page.agreement.rental_id)
            raise

    async def _carry(self, page: Page) -> Kept | None:
        seat = self._seat(page)
        try:
            if page.stage == "agreed":
                page = await self._fund_or_free(page, seat)
            if page.stage in {"funded", "running"}:
                page = await self._use(page, seat)
        finally:
            await seat.leave()
        kept = await self._settling.settle(page, self._session_key(page))
        # What was not used is the mandate's again: all of it, where the rental was cancelled.
        await self._note_done(page.agreement.rental_id, spent=kept.signed.bill.spent if kept else 0)
        self._book.write(page.model_copy(update={"stage": "done"}))
        return kept

    async def _is_paid_out(self, agreement: SignedAgreement) -> bool:
        """Return whether the chain says that the escrow is done with a rental; False where it is silent."""
        try:
            return (await self._wallet.locked(agreement)).has(Status.DONE)
        except ChainUnreachable:
            return False

    async def _end_without_bill(self, rental_id: bytes) -> None:
        """End a rental whose bill is lost: what its last reading says was spent, and its page proves that."""
        page = self._book.read(rental_id)
        use = page.last_reading.reading.amount_due if page.last_reading else 0
        await self._note_done(rental_id, spent=use)
        self._book.write(page.model_copy(update={"stage": "done"}))
        path = str(self._book.path(rental_id))
        self._announce("paid_out_without_bill", rental_id=_id(page), use=use, path=path)

    # -- the stages
    # ----------------------------------------------------------------------------------------------

    async def _note_done(self, rental_id: bytes, *, spent: int) -> None:
        await asyncio.to_thread(self._brief.ledger.note_done, rental_id, spent=spent)

    async def _check_purse(self, wish: Wish) -> None:
        state = await self._wallet.state()
        self._announce("wallet", address=f"0x{self._wallet.address.hex()}", balance=state.balance)
        needed = wish.limit + wish.document.deposit
        if state.balance < needed:
            raise FundingFailed(
                f"the wallet holds {state.balance} base units, and up to {needed} are locked for this rental"
                + ("; `hireling wallet faucet` gives test money" if self._facts.faucet else "")
            )

    async def _fund_or_free(self, page: Page, seat: Seat) -> Page:
        try:
            return await self._fund(page, seat)
        except FundingFailed:
            await asyncio.to_thread(self._brief.ledger.note_not_opened, page.agreement.rental_id)
            if await self._holds_nothing_for_good(page.agreement):
                self._book.write(page.model_copy(update={"stage": "done"}))
            raise

    async def _holds_nothing_for_good(self, agreement: SignedAgreement) -> bool:
        """Return whether the escrow holds nothing and never will, False where the chain is silent."""
        try:
            return await self._wallet.locks_nothing_for_good(agreement)
        except ChainUnreachable:
            return False

    async def _fund(self, page: Page, seat: Seat) -> Page:
        rental_id = page.agreement.rental_id
        asked = await self._funding.request(page.agreement)
        async with self._greeting(page, seat) as ride:
            view = await self._funding.wait(page.agreement, asked)
        page = ride.page
        if view.state in WITHOUT_BILL:
            await self._note_done(rental_id, spent=0)
            raise FundingFailed(f"the rental is {view.state.value.lower()}; nothing is locked")
        opened = next((item.hash for item in view.transactions if item.hash), None)
        self._announce("funded", rental_id=_id(page), tx=f"0x{opened.hex()}" if opened else "")
        return self._book.write(page.model_copy(update={"stage": "funded"}))

    @asynccontextmanager
    async def _greeting(self, page: Page, seat: Seat) -> AsyncIterator[Ride]:
        """Take the seat meanwhile, where the rental begins now, and tell the machine what unlocks it."""
        ride = self._ride_of(page)

        async def greet() -> None:
            await ride.greet(await seat.take_early())

        is_now = page.agreement.agreement.pay.start_at <= self._clock.now().timestamp()
        greeting = asyncio.create_task(greet()) if is_now else None
        try:
            yield ride
        finally:
            if greeting is not None:
                greeting.cancel()
                await asyncio.gather(greeting, return_exceptions=True)

    async def _use(self, page: Page, seat: Seat) -> Page:
        is_on = page.last_reading is not None or await wait_for_start(
            page.agreement,
            platform=self._platform,
            clock=self._clock,
            announce=self._announce,
            is_called_off=lambda: self._wants_stop,
        )
        if not is_on:
            return self._book.write(page.model_copy(update={"stage": "over"}))
        page = self._book.write(page.model_copy(update={"stage": "running"}))
        ride = self._ride = self._ride_of(page)
        if self._wants_stop:
            ride.stop()
        async with seat.taken_by(ride) as line:
            page = await ride.run(line)
        return self._book.write(page.model_copy(update={"stage": "over"}))

    def _session_key(self, page: Page) -> Key:
        """Return the rental's key, which is opened once: that is meant to take a while."""
        if self._opened is None or self._opened[0] != page.session_key:
            self._opened = page.session_key, self._keys.load(page.session_key)
        return self._opened[1]

    def _ride_of(self, page: Page) -> Ride:
        return Ride(
            page,
            book=self._book,
            platform=self._platform,
            session=self._session_key(page),
            clock=self._clock,
            announce=self._announce,
            stop_after=self._stop_after,
        )

    def _seat(self, page: Page) -> Seat:
        agreement, broker = page.agreement, self._facts.mqtt
        device = agreement.agreement.rules.detail.device

        @cache
        def entry() -> BrokerPass:
            return BrokerPass(
                self._platform,
                domain=agreement.domain,
                key=self._session_key(page),
                device=device,
                clock=self._clock,
                rental_id=agreement.rental_id,
            )

        def make_line(announce: Announce) -> MqttLine:
            where = Broker(host=broker.host, port=broker.port, tls=broker.tls)
            return MqttLine(where, topics=topics_of(device), announce=announce, entry=entry())

        return Seat(make_line, announce=self._announce)


def _id(page: Page) -> str:
    return f"0x{page.agreement.rental_id.hex()}"
