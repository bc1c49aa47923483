"""RPC words of the negotiation service.

request_quote(signed_request) -> QuoteView           idempotent; Conflict where that time is taken
get_quote(quote_id) -> QuoteView
get_session_document(quote_id) -> SessionDocument
make_offer(quote_id, signed_offer) -> QuoteView      idempotent; Refused: turn, round, terms, signature
sign_agreement(signature) -> QuoteView               idempotent; the second side's signature makes the rental
make_moves(moves) -> list of MoveAnswer, in order    many of these three at once, each judged alone
get_agreement(rental_id) -> SignedAgreement
take_back_agreement(signed) -> SignedAgreement       idempotent; one that was lost, and is funded
get_calendar(device) -> CalendarView                 when it is promised, and not to whom
revoke_mandate(signed_revocation) -> SignedRevocation idempotent; the one that counts from now on
list_revocations(principal) -> tuple of SignedRevocation
approve_rental(signed_approval) -> SignedApproval    idempotent; the first word on a rental counts
list_approvals(rental_id) -> tuple of SignedApproval
list_open_quotes(device) -> tuple of QuoteView       those in which it is the owner's turn
"""

from datetime import datetime
from enum import StrEnum
from typing import Annotated, Any, Literal

from pydantic import Field

from hireling.rental.appointment import SignedAppointment
from hireling.rental.offer import QuoteRequest, SignedOffer
from hireling.rental.typed_data import Bytes32, HexBytes, Uint32, Uint96
from services.messages.message import Message

Side = Literal["owner", "renter"]
# What one call of make_moves takes: some hundred kilobytes, and a transaction of some hundredths of a second.
MOST_MOVES = 256


class QuoteStatus(StrEnum):
    """Where a quote session stands."""

    OPEN = "open"
    AGREED = "agreed"
    EXPIRED = "expired"
    ENDED = "ended"


class SignedQuoteRequest(Message):
    """A renter's question for a price, signed by its session key over Quote(bytes32 document)."""

    request: QuoteRequest
    signature: HexBytes


class AgreementSignature(Message):
    """One side's signature over the agreement that the session's last offer makes."""

    quote_id: str
    by: Side
    offer: Bytes32
    signature: HexBytes


class WonPrice(Message):
    """What an auction fixed: a quote for its winner is for this amount, and nothing in it is bargained."""

    auction: Bytes32
    amount: Uint96


class QuoteView(Message):
    """A session: the request, the offers in order, who signed, and whose turn it is."""

    quote_id: str
    status: QuoteStatus
    turn: Side | Literal["none"]
    request: QuoteRequest
    offers: tuple[SignedOffer, ...]
    signed_by: tuple[Side, ...] = ()
    rental_id: Bytes32 | None = None
    won: WonPrice | None = None
    appointment: SignedAppointment | None = None


class QuoteMark(Message):
    """How far a session is: what changes in it, without its documents."""

    status: QuoteStatus
    offers: int
    signatures: int


class QuestionMove(Message):
    """A renter's question, as in request_quote."""

    kind: Literal["question"] = "question"
    document: SignedQuoteRequest


class OfferMove(Message):
    """An offer of either side, as in make_offer; it names its session itself."""

    kind: Literal["offer"] = "offer"
    document: SignedOffer


class SignatureMove(Message):
    """One side's signature, as in sign_agreement."""

    kind: Literal["signature"] = "signature"
    document: AgreementSignature


Move = Annotated[QuestionMove | OfferMove | SignatureMove, Field(discriminator="kind")]


class SessionState(Message):
    """Where a session stands after a move: a QuoteView without its documents."""

    status: QuoteStatus
    turn: Side | Literal["none"]
    offers: int
    signed_by: tuple[Side, ...]
    rental_id: Bytes32 | None


class MoveProblem(Message):
    """Why a move was not made; ``error`` is the class in services.messages.errors."""

    error: str
    code: str
    detail: str
    fields: dict[str, Any]


class MoveAnswer(Message):
    """What came of one move.

    ``refused`` and ``unavailable`` changed nothing, and the latter may be sent again; what became of an
    ``unknown`` one has to be looked up. A move that was made before is ``done``.
    """

    outcome: Literal["done", "refused", "unavailable", "unknown"]
    quote_id: str | None
    state: SessionState | None = None
    problem: MoveProblem | None = None


class BusySlot(Message):
    """A stretch of a device's time that is promised: the start is in it, the end is not.

    An unfunded one keeps others off for a minute.
    """

    start_at: datetime
    until: datetime
    funded: bool


class CalendarView(Message):
    """When a device is promised, the earliest slot first. A rental that ends early gives the rest back.

    ``books_ahead`` and ``turnaround`` are its listing's, in seconds; without the first it has one agreement
    at a time, whenever it begins.
    """

    device: Bytes32
    books_ahead: Uint32
    turnaround: Uint32
    busy: tuple[BusySlot, ...]
