"""A device's moves over the broker, and by HTTP where nobody answers there."""

import asyncio
import json
from collections.abc import Awaitable, Callable
from typing import Any, cast

import httpx
import pytest

from hireling.device import moves as module
from hireling.device.moves import MovesOverMqtt
from hireling.mqtt_line import LineDown, MqttLine
from hireling.platform_client import PlatformClient
from hireling.platform_errors import PlatformFault, PlatformNotFound, PlatformRefused
from hireling.platform_views import QuoteView
from hireling.rental.moves import Move, MoveAnswer, MoveProblem, SessionView
from hireling.rental.offer import SignedOffer, sign_offer
from hireling.rental.session_document import quote_id_of
from hireling.rental.terms import device_id
from tests.builders import METER_KEY, OWNER_AGENT_KEY, a_request, an_offer

REQUEST = a_request()
QUOTE_ID = quote_id_of(REQUEST)
OFFER = sign_offer(OWNER_AGENT_KEY, an_offer(quote_id=QUOTE_ID))
DEVICE = device_id(METER_KEY.identity)


class Line:
    """A line to a broker behind which somebody answers, or nobody."""

    def __init__(self, answer: Callable[[Move], MoveAnswer | None]) -> None:
        self.answer = answer
        self.is_up = True
        self.published: list[tuple[str, Move]] = []
        self.moves: MovesOverMqtt

    async def publish(self, topic: str, payload: str) -> None:
        if not self.is_up:
            raise LineDown("no connection")
        move = Move.model_validate_json(payload)
        self.published.append((topic, move))
        if (answer := self.answer(move)) is not None:
            self.moves.on_answer(answer.model_dump_json().encode())


def session(*offers: SignedOffer, made: int | None = None, turn: Any = "owner") -> SessionView:
    """Return a session in which these offers were made."""
    return SessionView(
        quote_id=QUOTE_ID,
        status="open",
        turn=turn,
        request=REQUEST,
        made=len(offers) if made is None else made,
        offers=offers,
    )


def done(move: Move) -> MoveAnswer:
    return MoveAnswer(ref=move.ref, outcome="done", session=session(OFFER, turn="renter"))


def refused(**problem: Any) -> Callable[[Move], MoveAnswer]:
    return lambda move: MoveAnswer(ref=move.ref, outcome="refused", problem=MoveProblem(**problem))


class Scene:
    """A device's moves between a line and a marketplace's HTTP interface."""

    def __init__(self, answer: Callable[[Move], MoveAnswer | None]) -> None:
        self.asked: list[str] = []
        self.said: list[str] = []
        platform = PlatformClient("http://market", transport=httpx.MockTransport(self._serve))
        self.line = Line(answer)
        self.moves = MovesOverMqtt(
            platform=platform,
            line=cast("MqttLine", self.line),
            device=DEVICE,
            announce=lambda event, **_: self.said.append(event),
        )
        self.line.moves = self.moves

    def hear(self, view: SessionView) -> bool:
        return self.moves.on_session(view.model_dump_json().encode())

    def _serve(self, request: httpx.Request) -> httpx.Response:
        self.asked.append(f"{request.method} {request.url.path}")
        return httpx.Response(200, json=json.loads(session(OFFER, turn="renter").model_dump_json()))


def go(journey: Callable[[], Awaitable[None]]) -> None:
    asyncio.run(cast("Any", journey()))


class TestMaking:
    def test_goes_over_the_broker_once_the_session_was_told_of_there(self) -> None:
        scene = Scene(done)

        async def journey() -> None:
            scene.hear(session())
            view = await scene.moves.make_offer(QUOTE_ID, OFFER)
            assert (view.turn, view.offers) == ("renter", (OFFER,))

        go(journey)
        ((topic, move),) = scene.line.published
        assert topic == f"hireling/0x{DEVICE.hex()}/moves"
        assert (move.quote_id, move.offer) == (QUOTE_ID, OFFER)
        assert scene.asked == []

    def test_goes_by_http_while_the_broker_told_nothing(self) -> None:
        scene = Scene(done)
        go(lambda: scene.moves.make_offer(QUOTE_ID, OFFER))  # type: ignore[arg-type, return-value]
        assert scene.line.published == []
        assert scene.asked == [f"POST /v1/quotes/{QUOTE_ID}/offers"]

    def test_goes_by_http_while_the_line_is_down(self) -> None:
        scene = Scene(done)

        async def journey() -> None:
            scene.hear(session())
            scene.line.is_up = False
            await scene.moves.sign_agreement(
                quote_id=QUOTE_ID, by="owner", offer=OFFER.hash, signature=b"\x01"
            )

        go(journey)
        assert scene.asked == ["POST /v1/agreements"]

    def test_goes_by_http_after_nobody_answered(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(module, "ANSWERED_WITHIN_SECONDS", 0.01)
        scene = Scene(lambda _: None)

        async def journey() -> None:
            scene.hear(session())
            await scene.moves.make_offer(QUOTE_ID, OFFER)
            await scene.moves.make_offer(QUOTE_ID, OFFER)

        go(journey)
        assert len(scene.line.published) == 1, "it is not waited for again"
        assert scene.asked == [f"POST /v1/quotes/{QUOTE_ID}/offers"] * 2
        assert scene.said == ["move_unanswered"]

    def test_one_silence_sends_every_session_to_http(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(module, "ANSWERED_WITHIN_SECONDS", 0.01)
        scene, quote_ids = Scene(lambda _: None), [f"{QUOTE_ID[:-2]}{number:02}" for number in range(12)]

        async def journey() -> None:
            for quote_id in quote_ids:
                scene.hear(session().model_copy(update={"quote_id": quote_id}))
            for quote_id in quote_ids:
                await scene.moves.make_offer(quote_id, OFFER)
            scene.line.answer = done
            scene.hear(session())
            await scene.moves.make_offer(QUOTE_ID, OFFER)

        go(journey)
        assert [move.quote_id for _, move in scene.line.published] == [quote_ids[0], QUOTE_ID]
        assert len(scene.asked) == 12

    def test_asks_for_a_session_that_is_too_long_to_be_told(self) -> None:
        long = session(OFFER, made=40)
        scene = Scene(lambda move: MoveAnswer(ref=move.ref, outcome="done", session=long))

        async def journey() -> None:
            scene.hear(session())
            await scene.moves.make_offer(QUOTE_ID, OFFER)

        go(journey)
        assert scene.asked == [f"GET /v1/quotes/{QUOTE_ID}"]

    @pytest.mark.parametrize(
        ("kind", "error"),
        [("conflict", PlatformRefused), ("not-found", PlatformNotFound), ("internal", PlatformFault)],
    )
    def test_is_refused_as_over_http(self, kind: str, error: type[Exception]) -> None:
        scene = Scene(refused(kind=kind, code="not_your_turn", detail="round 2 is next"))

        async def journey() -> None:
            scene.hear(session())
            with pytest.raises(error, match="round 2 is next"):
                await scene.moves.make_offer(QUOTE_ID, OFFER)

        go(journey)
        assert scene.asked == []


class TestHearing:
    def test_gives_each_session_that_waits_for_the_owner_once(self) -> None:
        scene = Scene(done)
        assert scene.hear(session())
        assert scene.hear(session())
        assert [quote.quote_id for quote in scene.moves.take_news()] == [QUOTE_ID]
        assert scene.moves.take_news() == []

    def test_gives_none_in_which_it_is_the_renter_s_turn(self) -> None:
        scene = Scene(done)
        assert scene.hear(session())
        assert not scene.hear(session(OFFER, turn="renter"))
        assert scene.moves.take_news() == []

    def test_gives_none_that_was_not_told_in_full(self) -> None:
        scene = Scene(done)
        assert not scene.hear(session(OFFER, made=40))
        assert scene.moves.take_news() == []

    def test_gives_none_that_was_answered_before_it_was_told(self) -> None:
        scene = Scene(done)

        async def journey() -> None:
            scene.hear(session())
            # The owner's agent had the question from the marketplace itself, and answers it.
            await scene.moves.make_offer(QUOTE_ID, OFFER)
            assert scene.moves.take_news() == []
            assert not scene.hear(session())
            assert scene.moves.take_news() == []

        go(journey)

    def test_gives_none_of_which_the_marketplace_knows_more(self) -> None:
        scene = Scene(done)
        scene.hear(session())
        known = session(OFFER, OFFER)
        scene.moves.note(
            QuoteView.model_validate({name: getattr(known, name) for name in QuoteView.model_fields})
        )
        assert scene.moves.take_news() == []
        assert scene.hear(session(OFFER, OFFER))
        assert len(scene.moves.take_news()) == 1
