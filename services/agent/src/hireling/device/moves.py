"""The owner's agent's moves, over the line to the broker where the marketplace bargains there, else by HTTP.

The marketplace shows that it does by telling of a session there. A move that is not answered in time is made
again by HTTP: the same move twice is one.
"""

import asyncio
import secrets
from collections import OrderedDict
from collections.abc import Mapping
from typing import Protocol

from hireling.announce import Announce
from hireling.mqtt_line import LineDown, MqttLine, topic_of
from hireling.platform_client import PlatformClient
from hireling.platform_errors import PlatformFault, PlatformNotFound, PlatformRefused
from hireling.platform_views import QuoteView, Side
from hireling.rental.moves import (
    ANSWERED_WITHIN_SECONDS,
    Move,
    MoveAnswer,
    MoveProblem,
    MoveSignature,
    SessionView,
)
from hireling.rental.offer import SignedOffer

SESSIONS_KEPT = 256
# The HTTP status of each kind of problem.
STATUS: Mapping[str, int] = {
    "bad-request": 400,
    "conflict": 409,
    "forbidden": 403,
    "invalid": 422,
    "refused": 403,
}


class Moves(Protocol):
    """How moves are made: over HTTP, or as below. Both raise PlatformError."""

    async def make_offer(self, quote_id: str, offer: SignedOffer) -> QuoteView:
        """Put an offer on the table; idempotent."""
        ...

    async def sign_agreement(self, *, quote_id: str, by: Side, offer: bytes, signature: bytes) -> QuoteView:
        """Sign the agreement that the last offer makes; idempotent."""
        ...


class MovesOverMqtt:
    """Makes the moves of one device's agent."""

    def __init__(
        self, *, platform: PlatformClient, line: MqttLine, device: bytes, announce: Announce
    ) -> None:
        self._platform = platform
        self._line = line
        self._topic = topic_of(device, "moves")
        self._announce = announce
        self._told: OrderedDict[str, SessionView] = OrderedDict()
        self._news: dict[str, SessionView] = {}
        # How many offers each session has, by the latest word of any way.
        self._made_so_far: OrderedDict[str, int] = OrderedDict()
        self._asked: dict[str, asyncio.Future[MoveAnswer]] = {}

    def on_session(self, payload: bytes) -> bool:
        """Note how a session stands; return whether it is the owner's turn. Raises ValidationError."""
        session = SessionView.model_validate_json(payload)
        self._told[session.quote_id] = session
        self._told.move_to_end(session.quote_id)
        if len(self._told) > SESSIONS_KEPT:
            self._told.popitem(last=False)
        is_whole = session.made == len(session.offers)
        is_ours = session.turn == "owner" and is_whole and self._is_latest(session.quote_id, session.made)
        if is_ours:
            self._news[session.quote_id] = session
        else:
            self._news.pop(session.quote_id, None)
        return is_ours

    def hears_of(self, quote_id: str) -> bool:
        """Return whether the broker tells of all of this session: then a notice of it says nothing new."""
        told = self._told.get(quote_id)
        return told is not None and told.made == len(told.offers)

    def on_answer(self, payload: bytes) -> None:
        """Hand an answer to whoever waits for it. Raises ValidationError."""
        answer = MoveAnswer.model_validate_json(payload)
        waiting = self._asked.get(answer.ref or "")
        if waiting is not None and not waiting.done():
            waiting.set_result(answer)

    def take_news(self) -> list[QuoteView]:
        """Return the sessions that wait for the owner's agent, each once."""
        news, self._news = self._news, {}
        # What was answered meanwhile, as the marketplace told of it by HTTP, is no news.
        return [_quote(each) for each in news.values() if self._is_latest(each.quote_id, each.made)]

    def note(self, quote: QuoteView) -> None:
        """Note how far a session has come, by whichever way it was heard of."""
        if self._is_latest(quote.quote_id, len(quote.offers)):
            self._made_so_far[quote.quote_id] = len(quote.offers)
            self._made_so_far.move_to_end(quote.quote_id)
            if len(self._made_so_far) > SESSIONS_KEPT:
                self._made_so_far.popitem(last=False)

    def _is_latest(self, quote_id: str, made: int) -> bool:
        return made >= self._made_so_far.get(quote_id, 0)

    async def make_offer(self, quote_id: str, offer: SignedOffer) -> QuoteView:
        """Put an offer on the table."""
        view = await self._made(Move(ref=_ref(), quote_id=quote_id, offer=offer))
        view = view or await self._platform.make_offer(quote_id, offer)
        self.note(view)
        return view

    async def sign_agreement(self, *, quote_id: str, by: Side, offer: bytes, signature: bytes) -> QuoteView:
        """Sign the agreement that the last offer makes."""
        signed = MoveSignature(offer=offer, signature=signature)
        view = await self._made(Move(ref=_ref(), quote_id=quote_id, signature=signed))
        return view or await self._platform.sign_agreement(
            quote_id=quote_id, by=by, offer=offer, signature=signature
        )

    async def _made(self, move: Move) -> QuoteView | None:
        """Return the session after a move, None where it is not known to be made over this line."""
        if move.quote_id not in self._told or not self._line.is_up:
            return None
        waiting: asyncio.Future[MoveAnswer] = asyncio.get_running_loop().create_future()
        self._asked[move.ref] = waiting
        try:
            async with asyncio.timeout(ANSWERED_WITHIN_SECONDS):
                await self._line.publish(self._topic, move.model_dump_json(exclude_none=True))
                answer = await waiting
        except (LineDown, TimeoutError) as error:
            # Nobody is waited for twice: until a session is told of over the line again, it is by HTTP.
            self._told.clear()
            self._announce(
                "move_unanswered", quote_id=move.quote_id, reason=str(error) or "no answer in time"
            )
            return None
        finally:
            del self._asked[move.ref]
        if answer.problem is not None:
            raise _error_of(answer.problem)
        if answer.session is None or answer.session.made != len(answer.session.offers):
            return await self._platform.quote(move.quote_id)
        return _quote(answer.session)


def _ref() -> str:
    return secrets.token_hex(8)


def _quote(session: SessionView) -> QuoteView:
    return QuoteView.model_validate({name: getattr(session, name) for name in QuoteView.model_fields})


def _error_of(problem: MoveProblem) -> PlatformFault | PlatformRefused:
    if problem.kind == "internal":
        return PlatformFault(problem.detail)
    if problem.kind == "not-found":
        return PlatformNotFound(status=404, code=problem.code, detail=problem.detail)
    return PlatformRefused(status=STATUS[problem.kind], code=problem.code, detail=problem.detail)
