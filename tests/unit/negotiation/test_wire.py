"""Moves as they come over MQTT: whose they are, and what is answered to what is none."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hireling.rental.broker_users import bargainer_user
from hireling.rental.moves import LAST_OFFERS, MoveAnswer, SessionView
from hireling.rental.offer import SignedOffer, sign_offer
from hireling.rental.session_document import quote_id_of
from hireling.rental.typed_data import to_hex
from services.gateway.problems import _KINDS
from services.messages.errors import (
    ERRORS,
    CallerError,
    HirelingError,
    OperatorError,
    OutcomeUnknown,
    Refused,
    Unavailable,
)
from services.messages.negotiation import QuoteStatus, QuoteView
from services.negotiation.wire import (
    KINDS,
    MOST_OFFER_BYTES,
    Letter,
    Mover,
    done,
    mover_on,
    movers_of,
    open_move,
    refusal,
    written,
)
from tests.builders import OWNER_AGENT_KEY, RENTER_AGENT_KEY, a_request, an_offer

DEVICE = "0x" + "ab" * 32
OWNER = Mover(DEVICE, DEVICE)
LARGEST = 16_384
OFFER = sign_offer(OWNER_AGENT_KEY, an_offer())
ANYTHING = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)


def opened(**members: object) -> Letter | dict[str, object]:
    """Open a move with these members."""
    return open_move(
        OWNER, json.dumps({"ref": "1", "quote_id": "ab" * 16, **members}).encode(), largest=LARGEST
    )


def a_view(offers: tuple[SignedOffer, ...]) -> QuoteView:
    """Return a session in which these offers were made."""
    request = a_request()
    return QuoteView(
        quote_id=quote_id_of(request), status=QuoteStatus.OPEN, turn="owner", request=request, offers=offers
    )


class TestMovers:
    def test_are_known_by_their_topics(self) -> None:
        agent = bargainer_user(RENTER_AGENT_KEY.identity)
        owner, renter = movers_of(a_request())
        assert mover_on(f"hireling/{owner.path}/moves") == owner
        assert mover_on(f"hireling/{agent}/moves") == renter
        assert (owner.side, renter.side) == ("owner", "renter")
        assert owner.has(a_request())
        assert renter.has(a_request())
        assert owner.path == to_hex(a_request().device)

    def test_have_no_part_in_the_sessions_of_others(self) -> None:
        assert not OWNER.has(a_request())
        assert not Mover(f"bargainers/{DEVICE}", DEVICE).has(a_request())

    @pytest.mark.parametrize(
        "topic",
        ["", f"hireling/{DEVICE}/answers", f"hireling/{DEVICE}/moves/", f"x/{DEVICE}/moves",
         f"hireling/bargainers/bargainers/{DEVICE}/moves", "hireling/bargainers/moves",
         "hireling/0x00/moves"],
    )  # fmt: skip
    def test_move_on_no_other_topic(self, topic: str) -> None:
        assert mover_on(topic) is None


class TestOpening:
    def test_takes_an_offer(self) -> None:
        letter = opened(offer=OFFER.model_dump(mode="json"))
        assert isinstance(letter, Letter)
        assert (letter.mover, letter.move.ref, letter.move.offer) == (OWNER, "1", OFFER)

    def test_takes_a_look(self) -> None:
        letter = opened()
        assert isinstance(letter, Letter)
        assert (letter.move.offer, letter.move.signature) == (None, None)

    def test_names_the_mistakes_under_the_ref(self) -> None:
        answer = MoveAnswer.model_validate(opened(offer={"offer": {}, "signature": 7}))
        assert (answer.ref, answer.outcome) == ("1", "refused")
        assert answer.problem is not None
        assert (answer.problem.kind, answer.problem.code) == ("invalid", "invalid")
        assert len(answer.problem.fields["errors"]) == 10

    def test_looks_at_nothing_that_is_too_long(self) -> None:
        answer = open_move(OWNER, b'{"ref":"1"}' + b" " * LARGEST, largest=LARGEST)
        assert MoveAnswer.model_validate(answer).problem is not None

    @given(
        payload=st.binary()
        | st.text().map(str.encode)
        | ANYTHING.map(lambda value: json.dumps(value).encode())
    )
    def test_answers_whatever_comes(self, payload: bytes) -> None:
        answer = open_move(OWNER, payload, largest=LARGEST)
        assert isinstance(answer, dict)
        MoveAnswer.model_validate_json(json.dumps(answer))

    @given(
        move=st.fixed_dictionaries({"ref": ANYTHING, "quote_id": ANYTHING}, optional={"signature": ANYTHING})
    )
    def test_answers_whatever_looks_like_a_move(self, move: dict[str, object]) -> None:
        answer = open_move(OWNER, json.dumps(move).encode(), largest=LARGEST)
        if isinstance(answer, dict):
            MoveAnswer.model_validate_json(json.dumps(answer))


class TestAnswers:
    def test_call_problems_as_the_rest_interface_does(self) -> None:
        told = {kind: KINDS[kind] for kind in KINDS}
        assert told == {kind: _KINDS[kind][1] for kind in KINDS}

    def test_know_every_error_that_is_told(self) -> None:
        for error in ERRORS.values():
            if issubclass(error, CallerError | OperatorError):
                MoveAnswer.model_validate(refusal("1", error("code", "detail", number=7)))

    @pytest.mark.parametrize("error", [Unavailable, OutcomeUnknown])
    def test_are_not_made_of_what_may_be_done_yet(self, error: type[HirelingError]) -> None:
        with pytest.raises(ValueError, match="no answer to a move"):
            refusal("1", error("code", "detail"))

    def test_tell_nothing_of_the_platform_s_own_faults(self) -> None:
        assert "secret" not in json.dumps(refusal("1", OperatorError("bug", "a secret", more="secret")))

    def test_say_how_long_to_wait(self) -> None:
        answer = MoveAnswer.model_validate(refusal(None, Refused("rate_limited", "too many"), wait_ms=7))
        assert (answer.ref, answer.wait_ms) == (None, 7)

    def test_carry_the_session(self) -> None:
        view = a_view((OFFER,))
        answer = MoveAnswer.model_validate_json(json.dumps(done("1", view)))
        assert answer.session is not None
        assert (answer.session.made, answer.session.offers) == (1, (OFFER,))

    def test_carry_the_last_offers_of_a_long_session(self) -> None:
        offers = tuple(OFFER.model_copy(update={"signature": bytes([number])}) for number in range(100))
        told = SessionView.model_validate_json(json.dumps(written(a_view(offers))))
        assert (told.made, told.offers) == (100, offers[-LAST_OFFERS:])

    def test_carry_as_many_offers_as_every_broker_takes(self) -> None:
        offers = tuple(OFFER.model_copy(update={"signature": bytes(15_000)}) for _ in range(8))
        told = json.dumps(written(a_view(offers)))
        assert len(told) < MOST_OFFER_BYTES + 8_192
        assert len(json.loads(told)["offers"]) == 3
