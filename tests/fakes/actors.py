"""A device's agent and a renter's agent as the front sees them: they sign what they send."""

from dataclasses import dataclass, field, replace
from typing import Any

from hireling.rental.close import Possession
from hireling.rental.hashing import keccak256
from hireling.rental.listing import Heartbeat, ListingDocument, SignedListing, sign_listing
from hireling.rental.mandate import SignedMandate
from hireling.rental.offer import (
    Offer,
    PlatformTerms,
    QuoteRequest,
    SignedOffer,
    agreement_from,
    counter,
    first_offer,
    quote_of,
    sign_offer,
    terms_of,
)
from hireling.rental.signing import Secp256k1Key, sign
from hireling.rental.tariff import scaled
from hireling.rental.terms import device_id
from hireling.rental.typed_data import Domain
from services.chassis.clock import Clock
from services.messages.listing import Registration, SignedHeartbeat
from services.messages.negotiation import AgreementSignature, Side, SignedQuoteRequest
from tests.builders import (
    OWNER_AGENT_KEY,
    OWNER_KEY,
    a_key,
    a_listing,
    a_mandate,
    a_request,
    platform_terms,
)
from tests.fakes.settlement.service import REGISTRY

PROOF_SECONDS = 3_600
LISTING_SECONDS = 3_600


@dataclass(kw_only=True)
class DeviceActor:
    """A machine with its own meter key; all machines of a test have one owner."""

    clock: Clock
    meter: Secp256k1Key = field(default_factory=lambda: a_key("meter"))
    terms: PlatformTerms = field(default_factory=platform_terms)
    registry: bytes = REGISTRY

    @property
    def device(self) -> str:
        """Return the device's id as it travels."""
        return f"0x{device_id(self.meter.identity).hex()}"

    def now(self, seconds: int = 0) -> int:
        """Return Unix seconds, so many from now."""
        return int(self.clock.now().timestamp()) + seconds

    def registration(
        self, *, mandate: SignedMandate | None = None, owner_key: Secp256k1Key = OWNER_KEY, **changes: Any
    ) -> Registration:
        """Return a registration as it should be, but for the changes."""
        valid_until = changes.pop("valid_until", self.now(PROOF_SECONDS))
        metadata = changes.pop("metadata_hash", keccak256(b"metadata"))
        possession = Possession(
            owner=owner_key.identity,
            registry=self.registry,
            device=device_id(self.meter.identity),
            metadata=metadata,
            valid_until=valid_until,
        )
        registry = Domain(chain_id=self.terms.chain_id, escrow=self.registry)
        terms: dict[str, Any] = {
            "meter": self.meter.identity,
            "owner": owner_key.identity,
            "owner_agent": OWNER_AGENT_KEY.identity,
            "mandate": mandate or a_mandate(domain=self.terms.domain),
            "metadata_hash": metadata,
            "valid_until": valid_until,
            "possession": sign(self.meter, registry, possession),
        }
        return Registration.model_validate(terms | changes)

    def listing(self, **changes: Any) -> SignedListing:
        """Return a listing signed by the owner's agent."""
        terms = {"valid_until": self.now(LISTING_SECONDS)} | changes
        return sign_listing(OWNER_AGENT_KEY, self.terms.domain, a_listing(meter_key=self.meter, **terms))

    def heartbeat(self, *, at: int | None = None) -> SignedHeartbeat:
        """Return a sign of life."""
        beat = Heartbeat(device=device_id(self.meter.identity), at=self.now() if at is None else at)
        return SignedHeartbeat(heartbeat=beat, signature=sign(self.meter, self.terms.domain, beat))

    def first_offer(self, request: QuoteRequest, listing: ListingDocument, quote_id: str) -> SignedOffer:
        """Return round 0."""
        offer = first_offer(
            listing, request, self.terms, self.clock.now(), keccak256(quote_id.encode()), quote_id
        )
        return sign_offer(OWNER_AGENT_KEY, offer)

    def signature(self, offer: Offer) -> AgreementSignature:
        """Return the owner's agent's signature over the agreement an offer makes."""
        return _agreed(OWNER_AGENT_KEY, offer, by="owner")


@dataclass(kw_only=True)
class RenterActor:
    """A renter with a wallet and a session key."""

    clock: Clock
    name: str = "renter"
    terms: PlatformTerms = field(default_factory=platform_terms)

    @property
    def wallet(self) -> Secp256k1Key:
        """Return the key that locks the money."""
        return a_key(self.name)

    @property
    def session_key(self) -> Secp256k1Key:
        """Return the key that bargains and signs ceilings."""
        return a_key(f"{self.name}'s agent")

    def question(self, listing: ListingDocument, **changes: Any) -> SignedQuoteRequest:
        """Return a question about a listing."""
        terms = {"start_at": int(self.clock.now().timestamp())} | changes
        request = a_request(
            listing=listing, renter_key=self.wallet, renter_agent_key=self.session_key, **terms
        )
        return SignedQuoteRequest(
            request=request, signature=sign(self.session_key, self.terms.domain, quote_of(request))
        )

    def counter_offer(self, offer: Offer, *, percent: int = 90) -> SignedOffer:
        """Return a counter-offer at so many percent of the tariff."""
        terms = replace(terms_of(offer), tariff=scaled(offer.tariff, percent, 100))
        return sign_offer(self.session_key, counter(offer, terms=terms, now=self.clock.now()))

    def signature(self, offer: Offer) -> AgreementSignature:
        """Return the renter's signature over the agreement an offer makes."""
        return _agreed(self.wallet, offer, by="renter")


def _agreed(key: Secp256k1Key, offer: Offer, *, by: Side) -> AgreementSignature:
    signed = SignedOffer(offer=offer, signature=b"")
    return AgreementSignature(
        quote_id=offer.quote_id,
        by=by,
        offer=signed.hash,
        signature=sign(key, offer.domain, agreement_from(offer)),
    )
