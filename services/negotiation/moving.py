"""Moves as they come and as they are answered. Pure rules."""

from collections.abc import Mapping
from typing import Any

from pydantic import TypeAdapter, ValidationError

from hireling.rental.session_document import quote_id_of
from services.messages.errors import CallerError, HirelingError, Unavailable, invalid_of
from services.messages.negotiation import Move, MoveAnswer, MoveProblem, QuestionMove, SignatureMove
from services.negotiation.session import QuoteSession

_MOVE: TypeAdapter[Move] = TypeAdapter(Move)


def read(move: Mapping[str, Any]) -> Move:
    """Return a move. Raises Invalid for one that does not parse."""
    try:
        return _MOVE.validate_python(move, strict=False)
    except ValidationError as error:
        raise invalid_of(error, what="the move") from error


def session_named(move: Move) -> str:
    """Return the id of the session that a move is made in."""
    if isinstance(move, QuestionMove):
        return quote_id_of(move.document.request)
    if isinstance(move, SignatureMove):
        return move.document.quote_id
    return move.document.offer.quote_id


def made(quote: QuoteSession) -> MoveAnswer:
    """Return the answer to a move that was made, now or before."""
    return MoveAnswer(outcome="done", quote_id=quote.quote_id, state=quote.state())


def not_made(error: HirelingError, quote_id: str | None = None) -> MoveAnswer:
    """Return the answer to a move that was not made, or of which nobody knows."""
    problem = MoveProblem(
        error=type(error).__name__, code=error.code, detail=error.detail, fields=error.fields
    )
    if isinstance(error, CallerError):
        return MoveAnswer(outcome="refused", quote_id=quote_id, problem=problem)
    if isinstance(error, Unavailable):
        return MoveAnswer(outcome="unavailable", quote_id=quote_id, problem=problem)
    return MoveAnswer(outcome="unknown", quote_id=quote_id, problem=problem)
