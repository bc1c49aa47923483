"""Where moves are made: one or many at once, each answered on its own.

All moves of a call share one unit of work, so that many cost one commit. Where a bug breaks it, each is made
alone: then the bug is that of one move and not of its neighbours.
"""

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from datetime import datetime, timedelta
from functools import partial
from typing import Any, TypeVar

from sqlmodel import Session

from hireling.rental.session_document import quote_id_of
from services.chassis.database import DATABASE_DOWN, Database
from services.chassis.logging import get_logger
from services.messages.errors import HirelingError, Invalid, OperatorError, OutcomeUnknown
from services.messages.negotiation import (
    MOST_MOVES,
    Move,
    MoveAnswer,
    OfferMove,
    QuestionMove,
    SignatureMove,
    SignedQuoteRequest,
)
from services.negotiation import moving, store
from services.negotiation.facts import Call, Facts
from services.negotiation.remembered import Remembered
from services.negotiation.session import QuoteSession
from services.negotiation.sitting import Sitting

Given = TypeVar("Given")
Result = TypeVar("Result")
Made = QuoteSession | HirelingError
Done = tuple[list[Made], Collection[QuoteSession]]
Work = Callable[[Session], Done]
# A session's id, and a signature that asks for it.
_Question = tuple[str, bytes]

_log = get_logger(__name__)


class Floor:
    """Makes moves in the sessions of one database; ``call`` asks the neighbours about questions.

    ``patience`` is how long a question waits for its answer, ``hold`` a slot for its money. ``take_turn``
    lets the workers of a process go one after the other.
    """

    def __init__(
        self,
        database: Database,
        remembered: Remembered,
        *,
        call: Call,
        patience: timedelta,
        hold: timedelta,
        take_turn: Callable[[], AbstractContextManager[None]] = nullcontext,
    ) -> None:
        self._database, self._remembered = database, remembered
        self._take_turn = take_turn
        self._call, self._patience, self._hold = call, patience, hold

    def make(self, move: Move, *, now: datetime) -> QuoteSession:
        """Make one move and return its session. Raises what keeps it from being made."""
        (result,) = self._make([move], now=now)
        if isinstance(result, HirelingError):
            raise result
        return result

    def answers(self, moves: Sequence[Mapping[str, Any]], *, now: datetime) -> list[MoveAnswer]:
        """Make moves as they travel, in their order, and answer each.

        Raises Invalid for none or too many, and where none was made, as far as is known, what says that the
        database did nothing, or may not have (DATABASE_DOWN).
        """
        if not 0 < len(moves) <= MOST_MOVES:
            raise Invalid("too_many_moves", f"1 to {MOST_MOVES} moves at once, not {len(moves)}")
        read = [_attempt(moving.read, move) for move in moves]
        sound = [move for move in read if not isinstance(move, HirelingError)]
        answers = self._answers(sound, now=now)
        return [moving.not_made(move) if isinstance(move, HirelingError) else next(answers) for move in read]

    def make_all(self, moves: Sequence[Move], *, now: datetime) -> Sequence[Made]:
        """Make moves in their order; return of each its session afterwards, or why it was not made.

        Raises what says that the database did nothing, or may not have (DATABASE_DOWN), where none was made,
        as far as is known.
        """
        try:
            return self._make(moves, now=now)
        except (HirelingError, *DATABASE_DOWN):
            raise
        except Exception as error:  # noqa: BLE001 - a bug that one of them meets must not hold up the others
            _log.error("moves_failed", moves=len(moves), exc_info=error)
            return [self._make_at_last(move, now=now) for move in moves]

    def _answers(self, moves: Sequence[Move], *, now: datetime) -> Iterator[MoveAnswer]:
        for move, result in zip(moves, self.make_all(moves, now=now), strict=True):
            if isinstance(result, HirelingError):
                yield moving.not_made(result, moving.session_named(move))
            else:
                yield moving.made(result)

    def _make_at_last(self, move: Move, *, now: datetime) -> Made:
        """Make one of the moves that failed together."""
        try:
            (result,) = self._make([move], now=now)
        except HirelingError as error:
            return error
        except DATABASE_DOWN as error:
            _log.warning("move_unknown", quote_id=moving.session_named(move), exc_info=error)
            return OutcomeUnknown("database_failed", "the database failed while the move was made")
        except Exception as error:  # noqa: BLE001 - the bug is this one's
            _log.error("move_failed", quote_id=moving.session_named(move), exc_info=error)
            return OperatorError("bug", repr(error))
        return result

    def _make(self, moves: Sequence[Move], *, now: datetime) -> Sequence[Made]:
        """Make moves in one unit of work; return of each its session afterwards, or why it was not made."""
        names = {moving.session_named(move) for move in moves}
        opening = self._opening([move.document for move in moves if isinstance(move, QuestionMove)], now=now)

        def work(session: Session) -> Done:
            sitting = Sitting(
                session,
                names,
                opening=[each for each in opening.values() if isinstance(each, QuoteSession)],
                remembered=self._remembered,
                hold=self._hold,
                now=now,
            )
            results = [_attempt(partial(_make, sitting, opening), move) for move in moves]
            sitting.write()
            return results, sitting.changed()

        results, changed = self._works(moves)(work)
        self._remembered.note(changed)
        return results

    def _works(self, moves: Sequence[Move]) -> Callable[[Work], Done]:
        """Return how to do work in which these moves are made.

        An offer reads and changes its own session alone, which is locked; what else it looks at (who holds
        the time, whether the owner stopped the agent) is looked at again by the signature. Questions and
        signatures take what others may take too: they are made as if alone, those of this process one after
        the other, since of two at once one would be made in vain.
        """
        if all(isinstance(move, OfferMove) for move in moves):
            return self._database.work_on_locked
        return self._alone

    def _alone(self, work: Work) -> Done:
        with self._take_turn():
            return self._database.work(work)

    def _opening(self, questions: Sequence[SignedQuoteRequest], *, now: datetime) -> Mapping[_Question, Made]:
        """Return the sessions that new questions open, or why they open none; of old ones nothing.

        The same question signed another way is the same session, and its signature is judged alone.
        """
        asked = {_signed_question(signed): signed for signed in questions}
        if not asked:
            return {}
        with self._database.snapshot() as session:
            known = store.known_among(session, {name for name, _ in asked})
        facts = Facts(self._call)
        return {
            (name, signature): _attempt(
                partial(facts.session_for, quote_id=name, now=now, patience=self._patience), signed
            )
            for (name, signature), signed in asked.items()
            if name not in known
        }


def _make(sitting: Sitting, opening: Mapping[_Question, Made], move: Move) -> QuoteSession:
    if isinstance(move, OfferMove):
        return sitting.offer(move.document)
    if isinstance(move, SignatureMove):
        return sitting.sign(move.document)
    opened = opening.get(_signed_question(move.document))
    if isinstance(opened, HirelingError):
        raise opened
    return sitting.quote(moving.session_named(move)) if opened is None else sitting.ask(opened)


def _signed_question(signed: SignedQuoteRequest) -> _Question:
    return quote_id_of(signed.request), signed.signature


def _attempt(do: Callable[[Given], Result], given: Given) -> Result | HirelingError:
    """Return what comes of it, be it one of our own errors."""
    try:
        return do(given)
    except HirelingError as error:
        return error
