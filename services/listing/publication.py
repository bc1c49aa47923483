"""What may be listed: what a device's owner's agent signed, within its mandate, for at most a day.

Pure rules.
"""

from datetime import datetime, timedelta

from hireling.rental.documents import document_hash
from hireling.rental.errors import RentalError
from hireling.rental.listing import ListingDocument, SignedListing
from hireling.rental.mandate import SignedMandate
from hireling.rental.typed_data import Domain
from services.listing.device import check_mandate
from services.messages.errors import Refused

LONGEST_LISTING = timedelta(hours=24)
# A listing signed for exactly a day passes although its signer's clock is a little ahead of ours.
CLOCK_TOLERANCE = timedelta(minutes=1)


def check_listing(
    signed: SignedListing, *, mandate: SignedMandate, meter: bytes, domain: Domain, now: datetime
) -> bytes:
    """Return the listing's hash.

    Raises Refused unless the device's agent signed it, within its owner's mandate, for at most a day.
    """
    document = signed.document
    _check_parties(document, mandate=mandate, meter=meter)
    _check_expiry(document.valid_until, now=now)
    try:
        signed.check(domain)
    except RentalError as error:
        raise Refused(
            "signature_mismatch", f"the owner's agent did not sign this listing: {error}"
        ) from error
    check_mandate(mandate, owner=document.owner, owner_agent=document.owner_agent, domain=domain, now=now)
    _check_kind(document, mandate=mandate)
    return document_hash(document)


def words_of(document: ListingDocument) -> str:
    """Return what a search for words looks through, in lower case."""
    place = document.place
    parts = [document.title, document.kind, *((place.city, place.country) if place else ())]
    return " ".join(part for part in parts if part).lower()


def _check_parties(document: ListingDocument, *, mandate: SignedMandate, meter: bytes) -> None:
    named = (document.owner, document.owner_agent, document.meter)
    if named != (mandate.principal, mandate.mandate.agent, meter):
        raise Refused(
            "wrong_parties",
            "the listing names another owner, agent or meter than the device was registered with",
        )


def _check_expiry(valid_until: int, *, now: datetime) -> None:
    latest = int((now + LONGEST_LISTING + CLOCK_TOLERANCE).timestamp())
    if not now.timestamp() < valid_until <= latest:
        raise Refused(
            "listing_expiry",
            f"a listing is good for at most 24 h from now: not until {valid_until}",
            valid_until=valid_until,
            latest=latest,
        )


def _check_kind(document: ListingDocument, *, mandate: SignedMandate) -> None:
    kinds = mandate.limits.kinds
    if kinds and document.kind not in kinds:
        raise Refused(
            "kind_not_allowed",
            f"the owner's mandate allows {', '.join(kinds)}, not {document.kind}",
            kind=document.kind,
            allowed=list(kinds),
        )
