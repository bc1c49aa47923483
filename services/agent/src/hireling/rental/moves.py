"""Bargaining over MQTT: what an agent sends to make a move, what it is answered, and what it is told.

A move is answered under its ``ref``, however often it comes. Who hears no answer sends it again: a move that
was made is not made twice.
"""

from typing import Any, Literal, Self

from pydantic import Field, model_validator

from hireling.rental.appointment import SignedAppointment
from hireling.rental.offer import QuoteRequest, SignedOffer
from hireling.rental.typed_data import Bytes32, HexBytes, Uint64, Uint96
from hireling.rental.word import Word

LONGEST_REF = 64
# A session of a hundred rounds would not fit into a message; the rest is at GET /v1/quotes/{quote_id}.
LAST_OFFERS = 16
# An answer takes a commit and two ways through the broker.
ANSWERED_WITHIN_SECONDS = 5.0


class MoveSignature(Word):
    """The mover's signature over the agreement that this offer makes, the last one."""

    offer: Bytes32
    signature: HexBytes


class Move(Word):
    """An offer, or a signature over the last offer's agreement; with neither it asks how things stand."""

    ref: str = Field(min_length=1, max_length=LONGEST_REF, description="the mover's own, for the answer")
    quote_id: str = Field(pattern="^[0-9a-f]{32}$")
    offer: SignedOffer | None = None
    signature: MoveSignature | None = None

    @model_validator(mode="after")
    def _is_one_move(self) -> Self:
        if self.offer is not None and self.signature is not None:
            raise ValueError("an offer or a signature, not both")
        return self


class WonPrice(Word):
    """What an auction fixed: the session is for this amount in base units, and nothing is bargained."""

    auction: Bytes32
    amount: Uint96


class SessionView(Word):
    """A session as both sides see it, as GET /v1/quotes/{quote_id} has it; of the offers the last 16."""

    quote_id: str
    status: Literal["open", "agreed", "expired", "ended"]
    turn: Literal["owner", "renter", "none"]
    request: QuoteRequest
    made: int = Field(description="how many offers were made in all")
    offers: tuple[SignedOffer, ...]
    signed_by: tuple[Literal["owner", "renter"], ...] = ()
    rental_id: Bytes32 | None = None
    won: WonPrice | None = None
    appointment: SignedAppointment | None = None


class MoveProblem(Word):
    """Why a move was refused, as the REST interface says it: the last word of its type, and its code."""

    kind: Literal["bad-request", "conflict", "forbidden", "internal", "invalid", "not-found", "refused"]
    code: str
    detail: str
    fields: dict[str, Any] = Field(default_factory=dict)


class MoveAnswer(Word):
    """What became of a move: done, with the session after it, or refused, with the reason.

    ``ref`` is null where none could be read. With ``wait_ms`` nothing was looked at: send it again then.
    """

    ref: str | None
    outcome: Literal["done", "refused"]
    session: SessionView | None = None
    problem: MoveProblem | None = None
    wait_ms: Uint64 | None = None
