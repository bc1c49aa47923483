"""RPC words of the negotiation service.

request_quote(signed_request) -> QuoteView           idempotent; Conflict while the device is taken
get_quote(quote_id) -> QuoteView
get_session_document(quote_id) -> SessionDocument
make_offer(quote_id, signed_offer) -> QuoteView      idempotent; Refused: turn, round, terms, signature
sign_agreement(signature) -> QuoteView               idempotent; the second side's signature makes the rental
get_agreement(rental_id) -> SignedAgreement
revoke_mandate(signed_revocation) -> SignedRevocation idempotent; the one that counts from now on
list_revocations(principal) -> tuple of SignedRevocation
approve_rental(signed_approval) -> SignedApproval    idempotent; the first word on a rental counts
list_approvals(rental_id) -> tuple of SignedApproval
list_open_quotes(device) -> tuple of QuoteView       those in which it is the owner's turn
"""

from enum import StrEnum
from typing import Literal

from hireling.rental.offer import QuoteRequest, SignedOffer
from hireling.rental.typed_data import Bytes32, HexBytes
from services.messages.message import Message

Side = Literal["owner", "renter"]


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


class QuoteView(Message):
    """A session: the request, the offers in order, who signed, and whose turn it is."""

    quote_id: str
    status: QuoteStatus
    turn: Side | Literal["none"]
    request: QuoteRequest
    offers: tuple[SignedOffer, ...]
    signed_by: tuple[Side, ...] = ()
    rental_id: Bytes32 | None = None
