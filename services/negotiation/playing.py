"""Moves that came over MQTT, made together: each judged alone, all of them durable when this returns."""

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any, NoReturn

from services.chassis.database import Database
from services.chassis.tracing import begin
from services.messages.errors import (
    CallerError,
    Forbidden,
    HirelingError,
    NotFound,
    OperatorError,
    OutcomeUnknown,
    Refused,
    Unavailable,
)
from services.messages.negotiation import AgreementSignature, OfferMove, SignatureMove
from services.negotiation import store
from services.negotiation.floor import Floor
from services.negotiation.remembered import Remembered
from services.negotiation.session import QuoteSession, side_of
from services.negotiation.wire import Answer, Letter, done, refusal


class Player:
    """Makes moves in one database, for whom the session is."""

    def __init__(self, database: Database, *, hold: timedelta) -> None:
        self._database = database
        self._remembered = Remembered()
        self._floor = Floor(database, self._remembered, call=_ask_nobody, patience=timedelta(), hold=hold)

    def play(self, letters: Sequence[Letter], *, now: datetime) -> list[Answer]:
        """Make moves and return what to answer to each, in order.

        Raises what says that the database did nothing, or may not have (DATABASE_DOWN): all of them may be
        played again.
        """
        # No request of a person's stands behind it, so what follows from the moves is a trace of its own.
        work, outcome = begin("make moves", service="negotiation"), "failed"
        try:
            answers = self._play(letters, now=now)
            outcome = "done"
        finally:
            work.end(outcome)
        return answers

    def _play(self, letters: Sequence[Letter], *, now: datetime) -> list[Answer]:
        known = self._known(letters, now=now)
        wanted = [_wanted(known, letter) for letter in letters]
        moves = [each for each in wanted if isinstance(each, OfferMove | SignatureMove)]
        results = self._floor.make_all(moves, now=now) if moves else ()
        for result in results:
            # Nobody can be told yet what became of it.
            if isinstance(result, Unavailable | OutcomeUnknown):
                raise result
        made = iter(results)
        found = [next(made) if isinstance(each, OfferMove | SignatureMove) else each for each in wanted]
        return [
            refusal(letter.move.ref, result)
            if isinstance(result, HirelingError)
            else done(letter.move.ref, result.view())
            for letter, result in zip(letters, found, strict=True)
        ]

    def _known(self, letters: Sequence[Letter], *, now: datetime) -> Mapping[str, QuoteSession]:
        """Return those sessions that exist: as they stand now for who only looks, at some time for a move.

        What a move finds is read again once its session is locked; whose session it is never changes.
        """
        known = {}
        unknown = []
        for move in (letter.move for letter in letters):
            quote = self._remembered.find(move.quote_id)
            if quote is None or (move.offer is None and move.signature is None):
                unknown.append(move.quote_id)
            else:
                known[move.quote_id] = quote
        return known | self.sessions(unknown, now=now) if unknown else known

    def sessions(self, quote_ids: Sequence[str], *, now: datetime) -> dict[str, QuoteSession]:
        """Return those of these sessions that exist, as they stand now."""
        with self._database.snapshot() as session:
            found = store.load_all(session, dict.fromkeys(quote_ids), self._remembered)
        return {name: quote.at(now) for name, quote in found.items()}


def _wanted(
    known: Mapping[str, QuoteSession], letter: Letter
) -> OfferMove | SignatureMove | QuoteSession | CallerError:
    """Return the move that a letter asks for, the session where it only looks, or why it may do neither."""
    move, mover, quote = letter.move, letter.mover, known.get(letter.move.quote_id)
    if quote is None:
        return NotFound("quote_not_found", f"no quote {move.quote_id}", quote_id=move.quote_id)
    if not mover.has(quote.request):
        detail = f"quote {quote.quote_id} is a session of others"
        return Forbidden("other_session", detail, quote_id=quote.quote_id)
    if move.offer is not None:
        offer = move.offer.offer
        if offer.quote_id != quote.quote_id:
            return Refused("other_quote", f"the offer is for quote {offer.quote_id}", quote_id=quote.quote_id)
        if side_of(offer.round) != mover.side:
            return Forbidden(
                "other_side", f"round {offer.round} is not the {mover.side}'s", round=offer.round
            )
        return OfferMove(document=move.offer)
    if move.signature is not None:
        given = AgreementSignature(
            quote_id=quote.quote_id,
            by=mover.side,
            offer=move.signature.offer,
            signature=move.signature.signature,
        )
        return SignatureMove(document=given)
    return quote


def _ask_nobody(service: str, method: str, *_: Any) -> NoReturn:
    raise OperatorError("not_asked", f"no question comes over MQTT, so {service}.{method} is not called")
