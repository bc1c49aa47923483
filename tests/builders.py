"""Valid protocol objects for tests.

Every argument has a default, and what a test does not name does not matter to it.

Keys are fixed, so that objects are the same in every run; they hold no money anywhere.
"""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from types import MappingProxyType
from typing import Any

from hireling.rental.agreement import SignedAgreement
from hireling.rental.documents import document_hash
from hireling.rental.listing import ListingDocument
from hireling.rental.mandate import MandateLimits, SignedMandate, sign_mandate
from hireling.rental.offer import Offer, PlatformTerms, QuoteRequest, agreement_from, first_offer
from hireling.rental.reading import (
    ClockQuality,
    Reading,
    ReadingEvent,
    Sample,
    SignedReading,
    reading_hash,
    sign_reading,
)
from hireling.rental.signing import P256Key, Secp256k1Key, Signer, keccak256, sign
from hireling.rental.tariff import CounterSpec, Rate, Tariff, price
from hireling.rental.terms import Agreement, device_id
from hireling.rental.typed_data import Domain

NOW = datetime(2030, 1, 1, 12, 0, tzinfo=UTC)
DOMAIN = Domain(chain_id=31337, escrow=bytes.fromhex("e5c20000" * 5))
TOKEN = bytes.fromhex("70ce0000" * 5)
FEE_TO = bytes.fromhex("fee70000" * 5)
ARBITER = bytes.fromhex("a4b10000" * 5)
BOOT = bytes.fromhex("b007" * 16)


def a_key(name: str) -> Secp256k1Key:
    """Return the secp256k1 key of this name: the same each time."""
    return Secp256k1Key.from_secret(keccak256(f"secp256k1 {name}".encode()))


def a_p256_key(name: str) -> P256Key:
    """Return the P-256 key of this name: the same each time."""
    return P256Key.from_secret(keccak256(f"P-256 {name}".encode()))


OWNER_KEY = a_key("owner")
OWNER_AGENT_KEY = a_key("owner's agent")
METER_KEY = a_key("meter")
RENTER_KEY = a_key("renter")
RENTER_AGENT_KEY = a_key("renter's agent")
PLATFORM_KEY = a_key("platform")


def a_tariff(**changes: Any) -> Tariff:
    """Return a tariff: 5 base units flat, 7 a second, 300,000 per kWh, at least 50."""
    terms: dict[str, Any] = {
        "currency": "tUSD",
        "counters": (
            CounterSpec(name="energy_mJ", unit="mJ", max_per_second=3_000_000),
            CounterSpec(name="time_ms", unit="ms", max_per_second=1_000),
        ),
        "flat": 5,
        "rates": (
            Rate(kind="use", counter="energy_mJ", rate=300_000, per=3_600_000_000),
            Rate(kind="time", counter="time_ms", rate=7, per=1_000),
        ),
        "minimum": 50,
    }
    return Tariff.model_validate(terms | changes)


def a_listing(*, meter_key: Signer = METER_KEY, **changes: Any) -> ListingDocument:
    """Return a listing of a device."""
    terms: dict[str, Any] = {
        "device": device_id(meter_key.identity),
        "owner": OWNER_KEY.identity,
        "owner_agent": OWNER_AGENT_KEY.identity,
        "meter": meter_key.identity,
        "title": "A vacuum cleaner",
        "kind": "appliance",
        "thing": {
            "@context": "https://www.w3.org/2022/wot/td/v1.1",
            "title": "A vacuum cleaner",
            "security": ["nosec"],
        },
        "tariff": a_tariff(),
        "deposit": 10_000,
        "time_factor": 1,
        "ceiling_seconds": 60,
        "grace": 30,
        "notice": 120,
        "claim_window": 3_600,
        "challenge_window": 3_600,
        "max_seconds": 86_400,
        "valid_until": int(NOW.timestamp()) + 3_600,
    }
    return ListingDocument.model_validate(terms | changes)


def platform_terms(**changes: Any) -> PlatformTerms:
    """Return what the marketplace fixes."""
    terms: dict[str, Any] = {
        "chain_id": DOMAIN.chain_id,
        "escrow": DOMAIN.escrow,
        "token": TOKEN,
        "fee_bps": 250,
        "fee_to": FEE_TO,
        "arbiter": ARBITER,
    }
    return PlatformTerms.model_validate(terms | changes)


def a_request(
    *,
    listing: ListingDocument | None = None,
    renter_key: Signer = RENTER_KEY,
    renter_agent_key: Signer = RENTER_AGENT_KEY,
    **changes: Any,
) -> QuoteRequest:
    """Return a renter's request for 600 s of a listing's device."""
    listing = listing or a_listing()
    terms: dict[str, Any] = {
        "device": listing.device,
        "listing": document_hash(listing),
        "renter": renter_key.identity,
        "renter_agent": renter_agent_key.identity,
        "seconds": 600,
        "start_at": int(NOW.timestamp()),
    }
    return QuoteRequest.model_validate(terms | changes)


def an_offer(
    *, listing: ListingDocument | None = None, request: QuoteRequest | None = None, **changes: Any
) -> Offer:
    """Return a first offer."""
    listing = listing or a_listing()
    offer = first_offer(
        listing, request or a_request(listing=listing), platform_terms(), NOW, keccak256(b"salt"), "quote-1"
    )
    return Offer.model_validate({**dict(offer), **changes})


def an_agreement(*, offer: Offer | None = None) -> Agreement:
    """Return the agreement an offer makes."""
    return agreement_from(offer or an_offer())


def signed_agreement(
    *, offer: Offer | None = None, owner_key: Signer = OWNER_AGENT_KEY, renter_key: Signer = RENTER_KEY
) -> SignedAgreement:
    """Return an agreement both sides signed."""
    offer = offer or an_offer()
    agreement = agreement_from(offer)
    return SignedAgreement(
        domain=offer.domain,
        agreement=agreement,
        offer=offer,
        owner_signature=sign(owner_key, offer.domain, agreement),
        renter_signature=sign(renter_key, offer.domain, agreement),
    )


def counters_of(number: int, *, of: int, tariff: Tariff) -> tuple[int, ...]:
    """Return plausible counters at the given second: half of each counter's fastest, none at the begin."""
    second = min(number, of)
    return tuple(spec.max_per_second * second // 2 for spec in tariff.counters)


def a_reading_chain(
    n: int,
    *,
    signed: SignedAgreement | None = None,
    meter_key: Signer = METER_KEY,
    counters: Sequence[Sequence[int]] | None = None,
    amounts: Mapping[int, int] = MappingProxyType({}),
) -> tuple[SignedReading, ...]:
    """Return n >= 2 readings, one a second: begin, continue, …, end.

    ``counters`` are each reading's, in the tariff's order.
    """
    signed = signed or signed_agreement()
    tariff = signed.offer.tariff
    readings: list[SignedReading] = []
    previous = signed.rental_id
    for number in range(n):
        values = counters_of(number, of=n - 1, tariff=tariff) if counters is None else tuple(counters[number])
        reading = Reading(
            rental_id=signed.rental_id,
            seq=number,
            amount_due=amounts[number]
            if number in amounts
            else min(price(tariff, values), signed.agreement.pay.max_total),
            last=number == n - 1,
            sample=Sample(
                previous=previous,
                counters=values,
                boot=BOOT,
                monotonic_ms=5_000 + number * 1_000,
                wall_ms=int(NOW.timestamp() * 1_000) + number * 1_000,
                clock=ClockQuality.SYNCHRONISED,
                event=_event(number, of=n),
                flags=0,
            ),
        )
        readings.append(sign_reading(meter_key, signed.domain, reading))
        previous = reading_hash(reading)
    return tuple(readings)


def a_mandate(
    *,
    principal_key: Signer = OWNER_KEY,
    agent_key: Signer = OWNER_AGENT_KEY,
    domain: Domain = DOMAIN,
    **changes: Any,
) -> SignedMandate:
    """Return an owner's generous mandate for its agent; ``changes`` are of its limits."""
    limits: dict[str, Any] = {
        "per_rental": 10**12,
        "total": 10**13,
        "max_rate_per_hour": 10**12,
        "price_floor_percent": 70,
        "max_fee_bps": 1_000,
        "longest_notice": 86_400,
        "longest_claim_window": 86_400,
        "longest_challenge_window": 86_400,
    }
    return sign_mandate(
        principal_key,
        domain,
        agent=agent_key.identity,
        limits=MandateLimits.model_validate(limits | changes),
        valid_until=int(NOW.timestamp()) + 86_400,
        revocation=keccak256(b"revocation"),
    )


def _event(number: int, *, of: int) -> ReadingEvent:
    if number == 0:
        return ReadingEvent.BEGIN
    return ReadingEvent.END if number == of - 1 else ReadingEvent.CONTINUE
