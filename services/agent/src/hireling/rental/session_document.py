"""A bargaining session in one document, and its replay: anybody can tell that it went by the rules."""

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Literal

from hireling.rental.agreement import SignedAgreement
from hireling.rental.appointment import SignedAppointment
from hireling.rental.documents import document_hash
from hireling.rental.errors import OfferRefused
from hireling.rental.listing import SignedListing
from hireling.rental.mandate import Clearance, SignedMandate
from hireling.rental.offer import (
    LONGEST_OFFER_SECONDS,
    PlatformTerms,
    QuoteRequest,
    SignedOffer,
    agreement_from,
    check_sequence,
    quote_of,
)
from hireling.rental.signing import verify
from hireling.rental.table import Outcome
from hireling.rental.typed_data import Document, HexBytes, Uint40, digest

QUOTE_ID_BYTES = 16
# Two machines' clocks: what one signs as good until now may reach the other a moment later.
CLOCK_SECONDS = 2


class MadeOffer(Document):
    """An offer, and the Unix second in which it came, by the marketplace's clock."""

    signed: SignedOffer
    made_at: Uint40


class SessionDocument(Document):
    """Everything of a session that was signed, and when the marketplace says that it came."""

    quote_id: str
    status: Literal["open", "agreed", "expired", "ended"]
    terms: PlatformTerms
    listing: SignedListing
    mandate: SignedMandate
    appointment: SignedAppointment | None = None
    request: QuoteRequest
    request_signature: HexBytes
    offers: tuple[MadeOffer, ...]
    agreement: SignedAgreement | None = None
    agreed_at: Uint40 | None = None


@dataclass(frozen=True)
class SessionCheck:
    """What was checked, in words, and what each offer proposed."""

    checks: tuple[str, ...]
    outcomes: tuple[Outcome, ...]


def quote_id_of(request: QuoteRequest) -> str:
    """Return 16 bytes of the request's hash: the same question is the same session."""
    return document_hash(request)[:QUOTE_ID_BYTES].hex()


def verify_session(document: SessionDocument) -> SessionCheck:
    """Replay a session from its documents. Raises a RentalError with the first thing that does not hold.

    Needs no clock and no network. When offers came is the marketplace's word; everything else is signed.
    """
    domain, listing, request = document.terms.domain, document.listing, document.request
    _require(
        document.quote_id == quote_id_of(request), "other_quote", "the session's id is not its request's hash"
    )
    listing.check(domain)
    _require(request.listing == listing.hash, "other_listing", "the request is about another listing")
    verify(request.renter_agent, digest(domain, quote_of(request)), document.request_signature)
    checks = ["the owner's side signed the listing", "the renter's agent signed the request for it"]
    offers = [made.signed for made in document.offers]
    for signed in offers:
        signed.check(domain)
        _check_terms(signed, document)
    outcomes = check_sequence(listing.document, request, [signed.offer for signed in offers])
    checks.append(f"{len(offers)} offers are signed in turn, each over the one before")
    checks.append(f"each is on the listing's agenda, in at most {listing.document.agenda.rounds} rounds")
    _check_times(document)
    checks.append("each was good when the next move came, by the marketplace's clock")
    checks.extend(_check_appointment(document))
    checks.extend(_check_ending(document))
    return SessionCheck(checks=tuple(checks), outcomes=outcomes)


def _check_terms(signed: SignedOffer, document: SessionDocument) -> None:
    offer = signed.offer
    _require(offer.quote_id == document.quote_id, "other_quote", f"round {offer.round} is of another session")
    for name in PlatformTerms.model_fields:
        _require(
            getattr(offer, name) == getattr(document.terms, name),
            "not_the_platforms_terms",
            f"round {offer.round} has another {name}",
        )


def _check_times(document: SessionDocument) -> None:
    # The last one is answered by the agreement, where there is one.
    answers = [made.made_at for made in document.offers[1:]]
    answers += [document.agreed_at] if document.agreed_at is not None else []
    for made in document.offers:
        offer, latest = made.signed.offer, made.made_at + LONGEST_OFFER_SECONDS + CLOCK_SECONDS
        _require(
            made.made_at <= offer.valid_until <= latest,
            "offer_expiry",
            f"round {offer.round} came at {made.made_at} and was good until {offer.valid_until}",
        )
    for made, answered_at in zip(document.offers, answers, strict=False):
        offer = made.signed.offer
        _require(
            made.made_at <= answered_at <= offer.valid_until + CLOCK_SECONDS,
            "answered_too_late",
            f"round {offer.round} was good until {offer.valid_until}, and answered at {answered_at}",
        )


def _check_appointment(document: SessionDocument) -> list[str]:
    """Return what was checked where a delegate spoke for the owner: that it was entitled all the while."""
    appointment = document.appointment
    if appointment is None:
        return []
    _require(len(document.offers) > 0, "other_appointment", "an appointment, and nothing that was done by it")
    last = document.agreed_at or document.offers[-1].made_at
    appointment.check_entitles(
        document.listing.document,
        domain=document.terms.domain,
        now=datetime.fromtimestamp(last, UTC),
        mandate=document.mandate,
    )
    return ["the owner appointed the platform's delegate for this machine, and it held to the end"]


def _check_ending(document: SessionDocument) -> list[str]:
    agreed, at = document.agreement, document.agreed_at
    _require((agreed is not None) == (document.status == "agreed"), "wrong_status", "an agreement or none")
    if agreed is None:
        return [f"it ended without an agreement: {document.status}"]
    _require(at is not None, "wrong_status", "an agreement without a time")
    agreed.check_signed()
    last = document.offers[-1].signed.offer if document.offers else None
    _require(agreed.offer == last, "not_the_last_offer", "the agreement is not the last offer's")
    moment = datetime.fromtimestamp(at or 0, UTC)
    mandate, listing = document.mandate, document.listing.document
    _require(
        (mandate.principal, mandate.mandate.agent) == (listing.owner, listing.owner_agent),
        "other_mandate",
        "the mandate is not this owner's for this agent",
    )
    mandate.check(agreed.domain, moment)
    # Whether a person approved, and what else the mandate held that day, no document of this session tells.
    clearance = Clearance(
        kind=listing.kind, listed=listing.tariff, offered=agreed.offer.tariff, approved=True
    )
    mandate.allows(agreement_from(agreed.offer), clearance=clearance)
    return [
        "both sides signed the agreement that the last offer makes",
        "the owner's mandate for its agent allows it",
    ]


def _require(condition: bool, code: str, detail: str) -> None:  # noqa: FBT001  the condition is the subject
    if not condition:
        raise OfferRefused(code, detail)
