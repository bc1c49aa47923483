"""The machine's presence at the marketplace.

It proves its keys, lists itself, and gives a sign of life every few seconds.
"""

import secrets
from dataclasses import replace
from datetime import datetime, timedelta

from hireling.announce import Announce
from hireling.clock import Clock
from hireling.device.delegate import DelegateFile
from hireling.device.offering import (
    LISTED_AGAIN_AFTER,
    Parties,
    Wishes,
    amount_of,
    bargaining_wishes,
    listing_of,
)
from hireling.drivers.driver import Facts
from hireling.platform_client import PlatformClient
from hireling.platform_errors import PlatformError, PlatformNotFound, PlatformRefused
from hireling.platform_views import DeviceView, PlatformView
from hireling.rental.agreement import device_id
from hireling.rental.appointment import DelegateOrder
from hireling.rental.close import Possession
from hireling.rental.documents import document_hash
from hireling.rental.listing import Heartbeat, ListingDocument, SignedListing, sign_listing
from hireling.rental.mandate import MandateLimits, SignedMandate, sign_mandate
from hireling.rental.signing import Secp256k1Key, Signer, sign
from hireling.rental.typed_data import Domain

HEARTBEAT_SECONDS = 10.0
REGISTRATION_POLL_SECONDS = 0.5
PROOF_HOLDS = timedelta(hours=1)
# No marketplace takes a longer one, and none gets it signed.
LONGEST_PROOF_HOLDS = timedelta(days=7)
SUPERSEDED = "registration_superseded"
MANDATE_HOLDS = timedelta(days=365)
# What a machine's own agent may promise in one rental; its owner's money is never at stake beyond the
# machine's work.
UNBOUNDED = (1 << 96) - 1
LONGEST_WINDOW_SECONDS = 30 * 24 * 3600
HIGHEST_FEE_BPS = 1000


class Presence:
    """Keeps one machine known, listed and alive."""

    def __init__(
        self,
        *,
        platform: PlatformClient,
        facts: PlatformView,
        machine: Facts,
        wishes: Wishes,
        owner: Secp256k1Key,
        agent: Signer,
        meter: Signer,
        clock: Clock,
        announce: Announce,
        price: int | None = None,
        delegate: DelegateFile | None = None,
    ) -> None:
        """``delegate`` says whether the platform's delegate bargains in this agent's place."""
        self._platform = platform
        self._facts = facts
        self._machine = machine
        self._wishes = wishes
        self._owner = owner
        self._agent = agent
        self._meter = meter
        self._clock = clock
        self._announce = announce
        self._price = price
        """What to list per unit of use, in base units; None: what the owner wishes."""
        self.parties = Parties(owner=owner.identity, owner_agent=agent.identity, meter=meter.identity)
        self.domain = Domain(chain_id=facts.chain_id, escrow=facts.escrow)
        self.mandate = self._mandate()
        """This agent's own, whoever bargains at present."""
        self._delegate = delegate
        self._order = self._standing()
        self._listings: dict[bytes, ListingDocument] = {}
        self._prices: dict[bytes, int | None] = {}
        self._listed: SignedListing | None = None
        self._listed_at = clock.now()

    @property
    def device(self) -> bytes:
        """Return the device's id."""
        return self.parties.device

    def listing(self, document: bytes) -> ListingDocument | None:
        """Return a listing of this machine by its hash, if this agent published it since it started."""
        return self._listings.get(document)

    @property
    def listed(self) -> SignedListing | None:
        """Return the present listing, None before the first."""
        return self._listed

    @property
    def listed_at(self) -> datetime:
        """Return when the present listing was published."""
        return self._listed_at

    @property
    def price(self) -> int | None:
        """Return the price of the present listing, where it is not simply what the owner wishes."""
        return self._price

    def price_of(self, document: bytes) -> int | None:
        """Return the price of a listing by its hash, where it was set."""
        return self._prices.get(document)

    async def list_at(self, price: int) -> None:
        """List anew at another price; sessions and rentals keep theirs. Raises PlatformError."""
        before, self._price = self._price, price
        try:
            await self._list()
        except PlatformError:
            self._price = before
            raise

    async def arrive(self) -> None:
        """Register the machine, wait until the chain knows it, and list it. Raises PlatformError."""
        view = await self._register()
        while not view.registered:
            await self._clock.sleep(REGISTRATION_POLL_SECONDS)
            view = await self._platform.device(self.device)
        self._announce(
            "registered",
            device=f"0x{self.device.hex()}",
            owner=f"0x{self._owner.identity.hex()}",
            tx_hash=f"0x{view.tx_hash.hex()}" if view.tx_hash else None,
        )
        await self._list()
        self._announce_speaker()

    async def _hand_over(self) -> None:
        """Register and list anew where its owner appointed a delegate, or where one has ended."""
        standing = self._standing()
        if standing == self._order:
            return
        before, self._order = self._order, standing
        try:
            await self._register()
            await self._list()
        except PlatformError:
            self._order = before
            raise
        self._announce_speaker()

    def _announce_speaker(self) -> None:
        if self._order is not None:
            delegate = f"0x{self._order.signed.appointment.delegate.hex()}"
            self._announce("delegate_speaks", device=f"0x{self.device.hex()}", delegate=delegate)

    def _standing(self) -> DelegateOrder | None:
        return None if self._delegate is None else self._delegate.standing(self._clock.now())

    async def stay(self) -> None:
        """Give signs of life until cancelled; list again before the listing expires.

        A marketplace that does not know the machine was restored from a backup of before it came: the machine
        registers anew.
        """
        is_away = False
        while True:
            try:
                await self._beat_or_arrive()
                await self._hand_over()
                if self._clock.now() - self._listed_at > LISTED_AGAIN_AFTER:
                    await self._list()
                is_away = False
            except PlatformError as error:
                if not is_away:
                    self._announce("platform_unreachable", detail=str(error))
                is_away = True
            await self._clock.sleep(HEARTBEAT_SECONDS)

    async def _beat_or_arrive(self) -> None:
        try:
            await self._beat()
        except PlatformNotFound:
            await self.arrive()

    async def _register(self) -> DeviceView:
        now = self._clock.now()
        try:
            return await self._prove(int((now + PROOF_HOLDS).timestamp()))
        except PlatformRefused as error:
            latest = error.fields.get("latest")
            if error.code != SUPERSEDED or not isinstance(latest, int):
                raise
            if latest >= int((now + LONGEST_PROOF_HOLDS).timestamp()):
                raise
        # It came by a clock that was ahead of the present one: it is here, and need not wait for that time.
        return await self._prove(latest + 1)

    async def _prove(self, valid_until: int) -> DeviceView:
        registry = Domain(chain_id=self._facts.chain_id, escrow=self._facts.registry)
        metadata = self._metadata_hash()
        mandate = self.mandate if self._order is None else self._order.mandate
        proof = Possession(
            owner=self._owner.identity,
            registry=self._facts.registry,
            device=device_id(self._meter.identity),
            metadata=metadata,
            valid_until=valid_until,
        )
        registration = {
            "meter": f"0x{self._meter.identity.hex()}",
            "owner": f"0x{self._owner.identity.hex()}",
            "owner_agent": f"0x{mandate.mandate.agent.hex()}",
            "mandate": mandate.model_dump(mode="json"),
            "metadata_hash": f"0x{metadata.hex()}",
            "valid_until": str(valid_until),
            "possession": f"0x{sign(self._meter, registry, proof).hex()}",
        }
        return await self._platform.register(registration)

    def _metadata_hash(self) -> bytes:
        document = self._document()
        return document_hash({"title": document.title, "thing": document.thing})

    async def _list(self) -> None:
        document, price = self._document(), self._price
        # In a delegate's name the owner lists itself: the delegate's key is not here.
        key = self._agent if self._order is None else self._owner
        signed: SignedListing = sign_listing(key, self.domain, document)
        view = await self._platform.publish_listing(signed)
        self._listings[signed.hash] = document
        self._prices[signed.hash] = price
        self._listed = signed
        self._listed_at = self._clock.now()
        await self._beat()
        self._announce(
            "listed",
            device=f"0x{self.device.hex()}",
            listing=f"0x{view.listing.hex()}",
            title=document.title,
            kind=document.kind,
            default_seconds=self._machine.default_seconds,
        )

    async def _beat(self) -> None:
        heartbeat = Heartbeat(device=self.device, at=int(self._clock.now().timestamp()))
        await self._platform.heartbeat(heartbeat, sign(self._meter, self.domain, heartbeat))

    def _document(self) -> ListingDocument:
        return listing_of(
            self._machine,
            self._wishes,
            parties=self._speaking(),
            token=self._facts.money,
            now=self._clock.now(),
            price=self._price,
        )

    def _speaking(self) -> Parties:
        if self._order is None:
            return self.parties
        return replace(self.parties, owner_agent=self._order.signed.appointment.delegate)

    def _mandate(self) -> SignedMandate:
        token, wishes = self._facts.money, self._wishes
        threshold, total = wishes.approval_above, wishes.mandate_total
        limits = MandateLimits(
            per_rental=UNBOUNDED,
            total=UNBOUNDED if total is None else amount_of(total, token, "mandate's total"),
            max_rate_per_hour=UNBOUNDED,
            price_floor_percent=bargaining_wishes(self._machine, wishes, token).least_price_percent,
            approval_above=None if threshold is None else amount_of(threshold, token, "approval threshold"),
            kinds=(self._machine.kind,),
            arbiters=(self._facts.arbiter,),
            tokens=(self._facts.token.address,),
            max_fee_bps=HIGHEST_FEE_BPS,
            longest_notice=LONGEST_WINDOW_SECONDS,
            longest_claim_window=LONGEST_WINDOW_SECONDS,
            longest_challenge_window=LONGEST_WINDOW_SECONDS,
        )
        return sign_mandate(
            self._owner,
            self.domain,
            agent=self._agent.identity,
            limits=limits,
            valid_until=int((self._clock.now() + MANDATE_HOLDS).timestamp()),
            revocation=secrets.token_bytes(32),
        )
