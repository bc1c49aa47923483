"""Builders for the agents' tests: a signed agreement, its parties' keys, a clock that tests move by hand."""

import asyncio
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

from hireling.rental.agreement import SignedAgreement
from hireling.rental.ceiling import Ceiling, SignedCeiling, sign_ceiling
from hireling.rental.documents import document_hash
from hireling.rental.listing import ListingDocument
from hireling.rental.offer import Offer, PlatformTerms, QuoteRequest, agreement_from, first_offer
from hireling.rental.reading import ClockQuality
from hireling.rental.signing import Secp256k1Key, sign
from hireling.rental.tariff import CounterSpec, Rate, Tariff
from hireling.rental.terms import device_id
from hireling.rental.typed_data import Domain

START = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)
DOMAIN = Domain(chain_id=31337, escrow=bytes.fromhex("11" * 20))
ENERGY = Tariff(
    currency="tUSD",
    counters=(CounterSpec(name="energy_mJ", unit="mJ", max_per_second=1_000_000),),
    flat=50_000,
    rates=(Rate(kind="use", counter="energy_mJ", rate=1, per=9000),),
)


def key(number: int) -> Secp256k1Key:
    """Return a key that every run shares."""
    return Secp256k1Key.from_secret(number.to_bytes(32))


@dataclass
class HandClock:
    """A clock that only tests move; sleeping moves it too, after the others had their turn."""

    at: datetime = START
    milliseconds: int = 5_000
    boot: bytes = bytes.fromhex("b0" * 32)

    def now(self) -> datetime:
        return self.at

    def monotonic_ms(self) -> int:
        return self.milliseconds

    def quality(self) -> ClockQuality:
        return ClockQuality.SYNCHRONISED

    async def sleep(self, seconds: float) -> None:
        await asyncio.sleep(0)
        self.advance(seconds)

    def advance(self, seconds: float) -> None:
        self.at += timedelta(seconds=seconds)
        self.milliseconds += max(1, round(seconds * 1000))


@dataclass
class Parties:
    """Everybody's keys."""

    owner: Secp256k1Key = field(default_factory=lambda: key(1))
    owner_agent: Secp256k1Key = field(default_factory=lambda: key(2))
    meter: Secp256k1Key = field(default_factory=lambda: key(3))
    renter: Secp256k1Key = field(default_factory=lambda: key(4))
    renter_agent: Secp256k1Key = field(default_factory=lambda: key(5))


PARTIES = Parties()


def a_listing(*, tariff: Tariff = ENERGY, ceiling_seconds: int = 10, grace: int = 60) -> ListingDocument:
    """Return what the machine offers."""
    return ListingDocument(
        device=device_id(PARTIES.meter.identity),
        owner=PARTIES.owner.identity,
        owner_agent=PARTIES.owner_agent.identity,
        meter=PARTIES.meter.identity,
        title="A machine",
        kind="appliance",
        thing={"title": "A machine"},
        tariff=tariff,
        deposit=500_000,
        ceiling_seconds=ceiling_seconds,
        grace=grace,
        notice=600,
        claim_window=3600,
        challenge_window=3600,
        max_seconds=86_400,
        valid_until=int((START + timedelta(hours=24)).timestamp()),
    )


def a_request(listing: ListingDocument, *, seconds: int = 60, budget: int | None = None) -> QuoteRequest:
    """Return a renter's question."""
    return QuoteRequest(
        device=listing.device,
        listing=document_hash(listing),
        renter=PARTIES.renter.identity,
        renter_agent=PARTIES.renter_agent.identity,
        seconds=seconds,
        budget=budget,
        start_at=int(START.timestamp()),
    )


def platform_terms(domain: Domain = DOMAIN) -> PlatformTerms:
    """Return what the marketplace fixes."""
    return PlatformTerms(
        chain_id=domain.chain_id,
        escrow=domain.escrow,
        token=bytes.fromhex("22" * 20),
        fee_bps=100,
        fee_to=bytes.fromhex("33" * 20),
        arbiter=bytes.fromhex("44" * 20),
    )


def an_offer(
    *, tariff: Tariff = ENERGY, seconds: int = 60, ceiling_seconds: int = 10, budget: int | None = None,
    now: datetime = START, grace: int = 60,
) -> Offer:  # fmt: skip
    """Return the listed offer."""
    listing = a_listing(tariff=tariff, ceiling_seconds=ceiling_seconds, grace=grace)
    request = a_request(listing, seconds=seconds, budget=budget)
    return first_offer(listing, request, platform_terms(), now, bytes(16) + b"s" * 16, "quote-1")


def signed_by_both(offer: Offer) -> SignedAgreement:
    """Return the agreement that an offer makes, signed."""
    agreement = agreement_from(offer)
    return SignedAgreement(
        domain=offer.domain,
        agreement=agreement,
        offer=offer,
        owner_signature=sign(PARTIES.owner_agent, offer.domain, agreement),
        renter_signature=sign(PARTIES.renter, offer.domain, agreement),
    )


def a_ceiling(agreement: SignedAgreement, *, max_claimable: int, ack_amount: int = 0) -> SignedCeiling:
    """Return a ceiling signed by the renter's session key."""
    ceiling = Ceiling(
        rental_id=agreement.rental_id,
        max_claimable=max_claimable,
        ack_amount=ack_amount,
        ack_reading=bytes(32),
    )
    return sign_ceiling(PARTIES.renter_agent, agreement.domain, ceiling)
