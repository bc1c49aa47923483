"""One rental's objects from listing to close, all signed, and its chain of readings."""

from dataclasses import replace
from typing import Any

from hireling.rental.ceiling import first_ceiling, next_ceiling, sign_ceiling
from hireling.rental.close import Close, Exit, Fund, Unlock, UnlockAction
from hireling.rental.documents import document_hash
from hireling.rental.listing import sign_listing
from hireling.rental.offer import counter, quote_of, sign_offer, terms_of
from hireling.rental.reading import reading_hash
from hireling.rental.signing import Signer, keccak256, sign
from hireling.rental.tariff import scaled
from hireling.rental.typed_data import Domain, TypedData, digest, to_hex
from tests.builders import (
    NOW,
    OWNER_AGENT_KEY,
    RENTER_AGENT_KEY,
    RENTER_KEY,
    a_listing,
    a_mandate,
    a_p256_key,
    a_reading_chain,
    a_request,
    an_offer,
    signed_agreement,
)

METER = a_p256_key("meter")


def vectors() -> dict[str, Any]:
    """Return a rental whose meter is a P-256 key.

    Every document with its hash, every signature with its digest.
    """
    listing = a_listing(meter_key=METER)
    request = a_request(listing=listing)
    first = an_offer(listing=listing, request=request)
    terms = replace(terms_of(first), tariff=scaled(first.tariff, 9, 10))
    second = counter(first, terms=terms, now=NOW)
    signed = signed_agreement(offer=second)
    domain, agreement, rental = signed.domain, signed.agreement, signed.rental_id
    readings = a_reading_chain(5, signed=signed, meter_key=METER)
    ceilings = [first_ceiling(agreement, rental_id=rental)]
    ceilings += [next_ceiling(agreement, reading.reading) for reading in readings]
    use = readings[-1].reading.amount_due
    end = int(NOW.timestamp()) + 3_600
    device = agreement.rules.detail.device
    words: list[tuple[Signer, TypedData]] = [
        (RENTER_KEY, Fund(rental_id=rental, funded_bps=10_000)),
        (
            RENTER_AGENT_KEY,
            Unlock(rental_id=rental, device=device, nonce=keccak256(b"nonce"), action=UnlockAction.UNLOCK),
        ),
        (OWNER_AGENT_KEY, Close(rental_id=rental, use=use, damage=0, valid_until=end)),
        (RENTER_AGENT_KEY, Close(rental_id=rental, use=use, damage=0, valid_until=end)),
        (RENTER_KEY, Exit(rental_id=rental)),
    ]
    return {
        "mandate": a_mandate().model_dump(mode="json"),
        "listing": sign_listing(OWNER_AGENT_KEY, domain, listing).model_dump(mode="json"),
        "listing_hash": to_hex(document_hash(listing)),
        "request": request.model_dump(mode="json"),
        "request_hash": to_hex(document_hash(request)),
        "request_signature": to_hex(sign(RENTER_AGENT_KEY, domain, quote_of(request))),
        "offers": [
            sign_offer(OWNER_AGENT_KEY, first).model_dump(mode="json"),
            sign_offer(RENTER_AGENT_KEY, second).model_dump(mode="json"),
        ],
        "offer_hashes": [to_hex(document_hash(first)), to_hex(document_hash(second))],
        "agreement": signed.model_dump(mode="json"),
        "rental_id": to_hex(rental),
        "readings": [
            {
                "signed": reading.model_dump(mode="json"),
                "hash": to_hex(reading_hash(reading.reading)),
                "digest": to_hex(digest(domain, reading.reading)),
            }
            for reading in readings
        ],
        "ceilings": [
            sign_ceiling(RENTER_AGENT_KEY, domain, ceiling).model_dump(mode="json") for ceiling in ceilings
        ],
        "words": [_word(key, domain, obj) for key, obj in words],
    }


def _word(key: Signer, domain: Domain, obj: TypedData) -> dict[str, Any]:
    return {
        "type": type(obj).__name__,
        "message": obj.model_dump(mode="json"),
        "digest": to_hex(digest(domain, obj)),
        "signer": to_hex(key.identity),
        "signature": to_hex(sign(key, domain, obj)),
    }
