"""Bargaining sessions with one machine, signed beforehand: a question, nine offers, the owner's signature."""

import json
import secrets
from dataclasses import dataclass

from hireling.clock import SystemClock
from hireling.device.offering import Wishes
from hireling.device.presence import Presence
from hireling.platform_client import PlatformClient
from hireling.platform_views import ListingView, PlatformView
from hireling.rental.offer import (
    Offer,
    QuoteRequest,
    agreement_from,
    counter,
    first_offer,
    quote_of,
    sign_offer,
)
from hireling.rental.session_document import quote_id_of
from hireling.rental.signing import Secp256k1Key, sign
from hireling.rental.table import Table
from hireling.rental.typed_data import to_hex
from tests.e2e.deal import MACHINE

ROUNDS = 8
GOOD_FOR_SECONDS = 590


@dataclass(frozen=True)
class Parties:
    """The machine's owner and its agent."""

    owner: Secp256k1Key
    agent: Secp256k1Key
    meter: Secp256k1Key


@dataclass(frozen=True)
class Move:
    """A move: its kind, where it is sent alone, and its document as JSON."""

    kind: str
    path: str
    document: str

    @property
    def among_others(self) -> str:
        """Return it as it is sent with others."""
        return f'{{"kind":"{self.kind}","document":{self.document}}}'


@dataclass(frozen=True)
class Session:
    """A session's moves, in their order."""

    quote_id: str
    moves: tuple[Move, ...]


async def a_machine(
    platform: PlatformClient, facts: PlatformView, parties: Parties
) -> tuple[Presence, ListingView]:
    """Register and list a machine."""
    presence = Presence(
        platform=platform,
        facts=facts,
        machine=MACHINE,
        wishes=Wishes(),
        owner=parties.owner,
        agent=parties.agent,
        meter=parties.meter,
        clock=SystemClock(),
        announce=lambda *_, **__: None,
    )
    await presence.arrive()
    (listing,) = await platform.listings()
    return presence, listing


def a_session(listing: ListingView, facts: PlatformView, parties: Parties) -> Session:
    """Return one session's moves, signed."""
    wallet, session, now = Secp256k1Key.generate(), Secp256k1Key.generate(), SystemClock().now()
    document, domain = listing.document, facts.terms.domain
    request = QuoteRequest(
        device=document.device,
        listing=listing.listing,
        renter=wallet.identity,
        renter_agent=session.identity,
        seconds=600,
        start_at=int(now.timestamp()),
    )
    quote_id = quote_id_of(request)
    question = {
        "request": request.model_dump(mode="json"),
        "signature": to_hex(sign(session, domain, quote_of(request))),
    }
    moves = [Move("question", "/v1/quotes", json.dumps(question))]
    first = first_offer(document, request, facts.terms, now, secrets.token_bytes(32), quote_id)
    hashed = b""
    offer = Offer.model_validate({**dict(first), "valid_until": int(now.timestamp()) + GOOD_FOR_SECONDS})
    table, places = Table(listing=document, request=request), len(document.agenda.price)
    for number in range(ROUNDS + 1):
        if number:
            # The owner gives way from the top of the agenda, the renter from its end.
            place = number if number % 2 == 0 else places - number
            terms = table.terms((place, number % 3, 0, number % 4, number % 4))
            offer = counter(offer, terms=terms, now=now, valid_for=GOOD_FOR_SECONDS)
        signed = sign_offer(parties.agent if number % 2 == 0 else session, offer)
        moves.append(Move("offer", f"/v1/quotes/{quote_id}/offers", signed.model_dump_json()))
        hashed = signed.hash
    agreement = {
        "quote_id": quote_id,
        "by": "owner",
        "offer": to_hex(hashed),
        "signature": to_hex(sign(parties.agent, domain, agreement_from(offer))),
    }
    return Session(quote_id, (*moves, Move("signature", "/v1/agreements", json.dumps(agreement))))
