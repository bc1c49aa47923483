"""Bargaining: offers in turn, each naming the one before; the last one makes the agreement.

What they may change is on the listing's agenda (see ``table``); the rest is fixed by the first of them.
"""

from collections.abc import Sequence
from datetime import datetime
from functools import lru_cache
from operator import attrgetter
from typing import ClassVar, Literal

from pydantic import Field

from hireling.rental.documents import document_hash
from hireling.rental.errors import OfferRefused
from hireling.rental.limits import LONGEST_RENTAL
from hireling.rental.listing import ListingDocument
from hireling.rental.quote import PlatformTerms, Quote, QuoteRequest, quote_of
from hireling.rental.signing import Signer, sign, verify
from hireling.rental.slot import end_by
from hireling.rental.table import NEGOTIATED, START_STEP, Outcome, Table, Terms
from hireling.rental.tariff import Tariff, amounts, tariff_hash
from hireling.rental.terms import Agreement, Detail, Pay, Rules
from hireling.rental.typed_data import (
    Address,
    Bytes32,
    Document,
    Domain,
    HexBytes,
    KeyBytes,
    SignerBytes,
    TypedData,
    Uint8,
    Uint16,
    Uint32,
    Uint40,
    Uint96,
    Uint256,
    digest,
    domain_of,
)

__all__ = [
    "Offer", "OfferEnvelope", "PlatformTerms", "Quote", "QuoteRequest", "SignedOffer",
    "agreement_from", "check_amounts", "check_next", "check_sequence", "counter", "envelope_of",
    "first_offer", "quote_of", "sign_offer", "terms_of",
]  # fmt: skip

OFFER_SECONDS = 120
# An offer binds its proposer: two minutes are usual, ten are enough for a person to nod.
LONGEST_OFFER_SECONDS = 600
FUNDING_SECONDS = 900
# What every offer of a session takes from the listing and from the request.
# What the owner fixed in its listing and nobody may change at the table.
LISTED = (
    "device", "owner", "owner_agent", "meter", "notice", "claim_window", "challenge_window",
    "ceiling_seconds", "grace",
)  # fmt: skip
ASKED = ("renter", "renter_agent")
# What a counter-offer may change; everything else was fixed by the first offer.
NEGOTIABLE = frozenset(
    {"previous", "round", "valid_until", "end_by", "max_total", "block_max", "max_rate_per_hour", *NEGOTIATED}
)


class Offer(Document):
    """All terms of a rental, as one side proposes them.

    Even rounds are the owner's agent's, odd ones the renter's agent's.

    ``previous`` is the hash of the offer answered, or of the QuoteRequest for round 0. Amounts in base units,
    gross: fee and tax inside; times in Unix seconds, spans in seconds.
    """

    quote_id: str = Field(min_length=1, max_length=64)
    previous: Bytes32
    round: Uint8
    device: Bytes32
    owner: SignerBytes
    owner_agent: SignerBytes
    meter: KeyBytes
    renter: SignerBytes
    renter_agent: KeyBytes
    seconds: Uint32
    budget: Uint96 | None = None
    tariff: Tariff
    rail: Literal["token"] = "token"
    chain_id: Uint256
    escrow: Address
    token: Address
    max_total: Uint96
    deposit: Uint96
    block_max: Uint96
    max_rate_per_hour: Uint96
    start_at: Uint40
    fund_by: Uint40
    end_by: Uint40
    notice: Uint32
    claim_window: Uint32
    challenge_window: Uint32
    ceiling_seconds: Uint32
    grace: Uint32
    fee_bps: Uint16
    fee_to: Address
    arbiter: Address
    salt: Bytes32
    valid_until: Uint40

    @property
    def all_in(self) -> int:
        """Return the most the renter can lose, in base units: the whole price and the deposit."""
        return self.max_total + self.deposit

    @property
    def domain(self) -> Domain:
        """Return the domain in which the rental's objects are signed."""
        return domain_of(self.chain_id, self.escrow)

    @property
    def proposer(self) -> bytes:
        """Return who signs this round: the owner's agent on even ones, the renter's agent on odd ones."""
        return self.owner_agent if self.round % 2 == 0 else self.renter_agent


class OfferEnvelope(TypedData):
    """What is signed of an offer."""

    signed_as: ClassVar[str | None] = "Offer"
    document: Bytes32
    previous: Bytes32
    round: Uint8
    valid_until: Uint40


class SignedOffer(Document):
    """An offer and its proposer's signature."""

    offer: Offer
    signature: HexBytes

    @property
    def hash(self) -> bytes:
        """Return the hash of the offer's document."""
        return offer_hash(self.offer)

    def check(self, domain: Domain) -> None:
        """Raise OfferRefused for terms that contradict themselves or another domain.

        Raises SignatureMismatch for another signer.
        """
        self.check_signature(domain)
        check_amounts(self.offer)

    def check_signature(self, domain: Domain) -> None:
        """Raise OfferRefused for another domain, SignatureMismatch for another signer."""
        if self.offer.domain != domain:
            raise OfferRefused(
                "wrong_domain", f"the offer is for chain {self.offer.chain_id}, not {domain.chain_id}"
            )
        verify(self.offer.proposer, digest(domain, envelope_of(self.offer)), self.signature)


_KEPT = tuple(name for name in Offer.model_fields if name not in NEGOTIABLE)
_kept_of = attrgetter(*_KEPT)


@lru_cache(maxsize=1024)
def offer_hash(offer: Offer) -> bytes:
    """Return the hash of an offer's document; remembered, for it is signed, answered and agreed to by it."""
    return document_hash(offer)


def envelope_of(offer: Offer) -> OfferEnvelope:
    """Return what is signed of an offer."""
    return OfferEnvelope(
        document=offer_hash(offer),
        previous=offer.previous,
        round=offer.round,
        valid_until=offer.valid_until,
    )


def sign_offer(key: Signer, offer: Offer) -> SignedOffer:
    """Return the offer signed by its proposer's key."""
    return SignedOffer(offer=offer, signature=sign(key, offer.domain, envelope_of(offer)))


def first_offer(  # noqa: PLR0917  six things make an offer, each of its own type
    listing: ListingDocument,
    request: QuoteRequest,
    platform: PlatformTerms,
    now: datetime,
    salt: bytes,
    quote_id: str,
) -> Offer:
    """Return round 0: the listed terms for what was asked.

    Raises OfferRefused if the listing does not cover the request.

    The rental has its ``seconds`` even when it is funded at the last moment; ``salt`` is 32 bytes of which at
    least 16 are random.
    """
    _check_request(listing, request, now)
    at = int(now.timestamp())
    table = Table(listing=listing, request=request)
    terms = table.terms((0,) * len(listing.agenda.issues))
    fund_by = at + FUNDING_SECONDS
    ends = _end_by(fund_by, terms, grace=listing.grace)
    if ends > at + LONGEST_RENTAL:
        raise OfferRefused("ends_too_late", f"it would end at {ends}, more than {LONGEST_RENTAL} s from {at}")
    return Offer.model_validate(
        {
            "quote_id": quote_id,
            "previous": document_hash(request),
            "round": 0,
            **{name: getattr(listing, name) for name in LISTED},
            **{name: getattr(request, name) for name in ASKED},
            **dict(platform),
            **vars(terms),
            **amounts(terms.tariff, terms.seconds, terms.budget, listing.ceiling_seconds),
            "fund_by": fund_by,
            "end_by": ends,
            "salt": salt,
            "valid_until": at + OFFER_SECONDS,
        }
    )


def counter(offer: Offer, *, terms: Terms, now: datetime, valid_for: int = OFFER_SECONDS) -> Offer:
    """Return the answer to ``offer`` with other terms, good for ``valid_for`` seconds."""
    changes = {
        "previous": offer_hash(offer),
        "round": offer.round + 1,
        **vars(terms),
        "end_by": _end_by(offer.fund_by, terms, grace=offer.grace),
        "valid_until": int(now.timestamp()) + valid_for,
        **amounts(terms.tariff, terms.seconds, terms.budget, offer.ceiling_seconds),
    }
    return Offer.model_validate({**dict(offer), **changes})


def terms_of(offer: Offer) -> Terms:
    """Return what an offer says of the issues."""
    return Terms(**{name: getattr(offer, name) for name in NEGOTIATED})


def check_amounts(offer: Offer) -> None:
    """Raise OfferRefused unless the offer's amounts are the ones its tariff makes."""
    expected = amounts(offer.tariff, offer.seconds, offer.budget, offer.ceiling_seconds)
    for name, amount in expected.items():
        if getattr(offer, name) != amount:
            raise OfferRefused("wrong_amount", f"{name} is {getattr(offer, name)}, the tariff makes {amount}")


def check_sequence(
    listing: ListingDocument, request: QuoteRequest, offers: Sequence[Offer]
) -> tuple[Outcome, ...]:
    """Return the outcome that each offer proposes.

    Raises OfferRefused unless the offers answer the request and each other, on what the listing puts on its
    agenda, in at most its rounds.
    """
    return tuple(check_next(listing, request, offers[:number], offer) for number, offer in enumerate(offers))


def check_next(
    listing: ListingDocument, request: QuoteRequest, before: Sequence[Offer], offer: Offer
) -> Outcome:
    """Return the outcome that an offer proposes after offers that were checked.

    Raises as check_sequence does.
    """
    number, last_round = len(before), listing.agenda.rounds
    if offer.round != number or number > last_round:
        raise OfferRefused(
            "wrong_round", f"offer {number} says it is round {offer.round} of at most {last_round}"
        )
    if offer.previous != (offer_hash(before[-1]) if before else document_hash(request)):
        raise OfferRefused("broken_sequence", f"round {number} answers something else than the one before it")
    check_amounts(offer)
    _check_answers(request, offer)
    if before:
        _check_kept(before[0], offer)
    outcome = Table(listing=listing, request=request).outcome(terms_of(offer))
    if offer.end_by != _end_by(offer.fund_by, terms_of(offer), grace=offer.grace):
        raise OfferRefused("wrong_end", f"end_by {offer.end_by} does not follow from start and seconds")
    return outcome


@lru_cache(maxsize=256)
def agreement_from(offer: Offer) -> Agreement:
    """Return the agreement that an offer makes when both sides sign it: same offer, same agreement."""
    detail = Detail(
        device=offer.device,
        offer=offer_hash(offer),
        tariff=tariff_hash(offer.tariff),
        rail=offer.rail,
        currency=offer.tariff.currency,
        ceiling_seconds=offer.ceiling_seconds,
        grace=offer.grace,
        salt=offer.salt,
    )
    terms = dict(offer)
    pay = Pay.model_validate({name: terms[name] for name in Pay.model_fields})
    rules = Rules.model_validate(
        {"detail": detail, **{name: terms[name] for name in Rules.model_fields if name != "detail"}}
    )
    return Agreement(pay=pay, rules=rules)


def _check_request(listing: ListingDocument, request: QuoteRequest, now: datetime) -> None:
    if request.device != listing.device or request.listing != document_hash(listing):
        raise OfferRefused("other_listing", "the request is for another device or another listing of it")
    if not 0 < request.seconds <= listing.max_seconds:
        raise OfferRefused("bad_duration", f"{request.seconds} s asked, 1 to {listing.max_seconds} s offered")
    if now.timestamp() > listing.valid_until:
        raise OfferRefused("listing_expired", f"the listing was good until {listing.valid_until}")
    if request.start_at < now.timestamp() - START_STEP:
        raise OfferRefused("starts_too_early", f"it would start at {request.start_at}, long before now")


def _check_answers(request: QuoteRequest, offer: Offer) -> None:
    for name in ("device", *ASKED):
        if getattr(offer, name) != getattr(request, name):
            raise OfferRefused("other_request", f"the offer's {name} is not the request's")


def _check_kept(first: Offer, offer: Offer) -> None:
    if _kept_of(first) == _kept_of(offer):
        return
    for name in _KEPT:
        if getattr(offer, name) != getattr(first, name):
            raise OfferRefused(
                "fixed_term_changed", f"round {offer.round} changes {name}, which round 0 fixed"
            )


def _end_by(fund_by: int, terms: Terms, *, grace: int) -> int:
    return end_by(fund_by=fund_by, start_at=terms.start_at, seconds=terms.seconds, grace=grace)
