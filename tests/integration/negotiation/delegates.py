"""A machine that never answers, its owner who appoints the platform's delegate, and renters at the table."""

from dataclasses import dataclass, field
from typing import Any

from hireling.bargaining.session import Accept, Counter, Decision
from hireling.bargaining.talks import Talks
from hireling.bargaining.wishes import RenterWishes
from hireling.rental.appointment import DelegateBounds, DelegateOrder, sign_inquiry, sign_order
from hireling.rental.listing import SignedListing, sign_listing
from hireling.rental.mandate import MandateLimits, SignedMandate, sign_mandate
from hireling.rental.offer import SignedOffer, counter, sign_offer
from hireling.rental.signing import Secp256k1Key, keccak256
from hireling.rental.table import Table
from hireling.rental.tariff import scaled
from hireling.rental.terms import device_id
from hireling.rental.typed_data import Domain, from_hex
from services.messages.errors import NotFound
from services.messages.negotiation import QuoteView
from tests.builders import DOMAIN, OWNER_KEY, a_listing, a_tariff
from tests.fakes.actors import PROOF_SECONDS, RenterActor
from tests.fakes.front import Front

WITHIN_SECONDS = 30.0
LIMITS = MandateLimits(
    per_rental=10**12,
    total=10**13,
    max_rate_per_hour=10**12,
    max_fee_bps=1_000,
    longest_notice=86_400,
    longest_claim_window=86_400,
    longest_challenge_window=86_400,
)


def some_bounds(**changes: Any) -> DelegateBounds:
    """Return bounds of 80 to 100 % of the usual listing's price, and its deposit."""
    terms: dict[str, Any] = {
        "floor": scaled(a_tariff(), 80, 100),
        "ceiling": a_tariff(),
        "most_deposit": 10_000,
        "longest_seconds": 86_400,
        "salt": keccak256(b"bounds"),
    }
    return DelegateBounds.model_validate(terms | changes)


@dataclass(kw_only=True)
class Delegated:
    """An owner with a machine that never answers, at the running front."""

    front: Front
    owner: Secp256k1Key = field(default_factory=lambda: OWNER_KEY)

    @property
    def device(self) -> str:
        """Return the machine."""
        return self.front.device.device

    def make_key(self) -> bytes:
        """Have the platform make the delegate's key, for a machine that it knows."""
        try:
            self.front.call("listing", "get_device", self.device)
        except NotFound:
            self.front.admit()
        made = self.front.call("negotiation", "make_delegate_key", self.device)
        return from_hex(made["delegate"])

    def order(
        self,
        delegate: bytes,
        *,
        owner: Secp256k1Key | None = None,
        domain: Domain = DOMAIN,
        seconds: int = 3_600,
        bounds: DelegateBounds | None = None,
        limits: MandateLimits = LIMITS,
        nonce: bytes = b"revocation of the delegate",
    ) -> DelegateOrder:
        """Return the appointment of a key, signed."""
        key = owner or self.owner
        until = self.front.device.now(seconds)
        mandate = sign_mandate(
            key, domain, agent=delegate, limits=limits, valid_until=until, revocation=keccak256(nonce)
        )
        return sign_order(
            key,
            domain,
            device=device_id(self.front.device.meter.identity),
            bounds=bounds or some_bounds(),
            mandate=mandate,
            valid_until=until,
        )

    def list_for(self, mandate: SignedMandate, *, later: int = 1, **changes: Any) -> SignedListing:
        """Register the machine under the delegate's mandate, and list it, signed by the owner itself."""
        front, agent = self.front, mandate.mandate.agent
        registration = front.device.registration(
            mandate=mandate, owner_agent=agent, valid_until=front.device.now(PROOF_SECONDS + later)
        )
        front.call("listing", "register_device", registration)
        terms = {"valid_until": front.device.now(3_600), "owner_agent": agent} | changes
        document = a_listing(meter_key=front.device.meter, **terms)
        listing = sign_listing(self.owner, DOMAIN, document)
        front.call("listing", "publish_listing", listing)
        front.call("listing", "heartbeat", front.device.device, front.device.heartbeat())
        return listing

    def appoint(self, **changes: Any) -> tuple[DelegateOrder, SignedListing]:
        """Appoint a delegate, as it should be; return the order and the listing that names it."""
        order = self.order(self.make_key(), **changes)
        listing = self.list_for(order.mandate)
        self.front.call("negotiation", "appoint_delegate", order)
        return order, listing

    def quote(self, quote_id: str) -> QuoteView:
        """Return a session."""
        return QuoteView.model_validate(self.front.call("negotiation", "get_quote", quote_id), strict=False)

    def until_renters_turn(self, quote_id: str) -> QuoteView:
        """Wait until the delegate moved; return the session."""
        self.front.platform.wait_until(lambda: self.quote(quote_id).turn != "owner", timeout=WITHIN_SECONDS)
        return self.quote(quote_id)

    def bargain(
        self, listing: SignedListing, renter: RenterActor, *, most: int = 90, **asked: Any
    ) -> QuoteView:
        """Bargain by the renter's own strategy, until it is agreed or over; return the session."""
        quote_id = self.front.ask(listing, renter=renter, **asked)
        while True:
            quote = self.until_renters_turn(quote_id)
            if quote.turn == "none":
                return quote
            decision = renters_decision(listing, quote, most=most)
            if isinstance(decision, Accept) or "owner" in quote.signed_by:
                signature = renter.signature(quote.offers[-1].offer)
                self.front.call("negotiation", "sign_agreement", signature)
            elif isinstance(decision, Counter):
                self.counter(quote, renter, listing, decision.offer)
            else:
                return quote

    def counter(
        self, quote: QuoteView, renter: RenterActor, listing: SignedListing, outcome: tuple[int, ...]
    ) -> SignedOffer:
        """Make the renter's counter-offer of an outcome; return it."""
        terms = Table(listing=listing.document, request=quote.request).terms(outcome)
        answer = counter(quote.offers[-1].offer, terms=terms, now=self.front.clock.now())
        signed = sign_offer(renter.session_key, answer)
        self.front.call("negotiation", "make_offer", quote.quote_id, signed)
        return signed

    def story(self, quote_id: str, *, owner: Secp256k1Key | None = None, **changes: Any) -> Any:
        """Ask why, as an owner."""
        terms: dict[str, Any] = {"subject": bytes.fromhex(quote_id), "at": self.front.device.now()} | changes
        inquiry = sign_inquiry(owner or self.owner, DOMAIN, **terms)
        return self.front.call("negotiation", "get_delegate_moves", quote_id, inquiry)


def renters_decision(listing: SignedListing, quote: QuoteView, *, most: int) -> Decision:
    """Return what a renter does who pays at most so many percent of the listed price."""
    preferences = RenterWishes(most_price_percent=most).preferences(listing.document.agenda)
    table = Table(listing=listing.document, request=quote.request)
    return Talks(table=table, preferences=preferences).decide([signed.offer for signed in quote.offers])
