"""The examples of bargaining over MQTT in asyncapi.yaml: one session's moves, signed for real."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime

from pydantic import BaseModel

from hireling.rental.documents import document_hash
from hireling.rental.hashing import keccak256
from hireling.rental.listing import ListingDocument
from hireling.rental.moves import Move, MoveAnswer, MoveProblem, MoveSignature, SessionView
from hireling.rental.offer import (
    PlatformTerms,
    QuoteRequest,
    SignedOffer,
    agreement_from,
    counter,
    first_offer,
    sign_offer,
    terms_of,
)
from hireling.rental.session_document import quote_id_of
from hireling.rental.signing import Secp256k1Key, sign
from hireling.rental.tariff import CounterSpec, Rate, Tariff, scaled
from hireling.rental.terms import device_id
from hireling.rental.typed_data import Domain

OWNER = Secp256k1Key(keccak256(b"the owner of the examples"))
OWNER_AGENT = Secp256k1Key(keccak256(b"the owner's agent of the examples"))
WALLET = Secp256k1Key(keccak256(b"the renter's wallet of the examples"))
HOUR = 3_600


def example_moves(
    *, domain: Domain, meter: Secp256k1Key, session: Secp256k1Key, at: int
) -> Mapping[str, Sequence[BaseModel]]:
    """Return what may travel on the channels of bargaining: a session of three moves and a signature."""
    listing = _listing(meter, at)
    request = QuoteRequest(
        device=listing.device,
        listing=document_hash(listing),
        renter=WALLET.identity,
        renter_agent=session.identity,
        seconds=600,
        start_at=at,
    )
    quote_id, now = quote_id_of(request), datetime.fromtimestamp(at, UTC)
    salt = keccak256(b"the salt of the examples")
    first = sign_offer(OWNER_AGENT, first_offer(listing, request, _terms(domain), now, salt, quote_id))
    cheaper = replace(terms_of(first.offer), tariff=scaled(first.offer.tariff, 90, 100))
    second = sign_offer(session, counter(first.offer, terms=cheaper, now=now))
    agreement = sign(OWNER_AGENT, domain, agreement_from(second.offer))
    signed = MoveSignature(offer=second.hash, signature=agreement)
    asked, offered = _view(quote_id, request), _view(quote_id, request, first)
    countered = _view(quote_id, request, first, second)
    problem = MoveProblem(
        kind="conflict",
        code="not_your_turn",
        detail="round 2 is next, turn: owner; this is round 1",
        fields={"expected_round": 2, "turn": "owner"},
    )
    slower = MoveProblem(
        kind="refused",
        code="rate_limited",
        detail="too many moves: the next one in 120 ms",
        fields={"wait_ms": 120},
    )
    refused = MoveAnswer(ref="8", outcome="refused", problem=problem)
    waits = MoveAnswer(ref=None, outcome="refused", problem=slower, wait_ms=120)
    return {
        "moves": [
            Move(ref="1", quote_id=quote_id, offer=first),
            Move(ref="2", quote_id=quote_id, signature=signed),
        ],
        "answers": [MoveAnswer(ref="1", outcome="done", session=offered), waits],
        "sessions": [asked, countered],
        "bargainerMoves": [
            Move(ref="7", quote_id=quote_id),
            Move(ref="8", quote_id=quote_id, offer=second),
        ],
        "bargainerAnswers": [MoveAnswer(ref="7", outcome="done", session=offered), refused],
        "bargainerSessions": [offered],
    }


def _view(quote_id: str, request: QuoteRequest, *offers: SignedOffer) -> SessionView:
    return SessionView(
        quote_id=quote_id,
        status="open",
        turn="renter" if len(offers) % 2 else "owner",
        request=request,
        made=len(offers),
        offers=offers,
    )


def _terms(domain: Domain) -> PlatformTerms:
    return PlatformTerms(
        chain_id=domain.chain_id,
        escrow=domain.escrow,
        token=keccak256(b"the token of the examples")[:20],
        fee_bps=100,
        fee_to=keccak256(b"the platform of the examples")[:20],
        arbiter=keccak256(b"the arbiter of the examples")[:20],
    )


def _listing(meter: Secp256k1Key, at: int) -> ListingDocument:
    rate = Rate(kind="use", counter="energy", rate=1, per=36)
    return ListingDocument(
        device=device_id(meter.identity),
        owner=OWNER.identity,
        owner_agent=OWNER_AGENT.identity,
        meter=meter.identity,
        title="A heater",
        kind="appliance",
        thing={"@context": "https://www.w3.org/2022/wot/td/v1.1", "title": "A heater", "security": ["nosec"]},
        tariff=Tariff(
            currency="USD",
            counters=(CounterSpec(name="energy", unit="mJ", max_per_second=3_000_000),),
            flat=10_000,
            rates=(rate,),
        ),
        deposit=500_000,
        time_factor=1,
        ceiling_seconds=60,
        grace=30,
        notice=600,
        claim_window=HOUR,
        challenge_window=HOUR,
        max_seconds=24 * HOUR,
        valid_until=at + 24 * HOUR,
    )
