"""Many moves in one request, over HTTP."""

from pathlib import Path
from typing import Any, NoReturn

import pytest
from pydantic import BaseModel

from hireling.rental.offer import SignedOffer
from services.messages.errors import Unavailable
from services.negotiation.facts import Facts
from tests.builders import NOW
from tests.fakes.actors import RenterActor
from tests.fakes.clock import FixedClock
from tests.fakes.front import QUICK, Front, running_front, sqlite_urls


def a_move(kind: str, document: BaseModel) -> dict[str, Any]:
    return {"kind": kind, "document": document.model_dump(mode="json")}


def first_offers(front: Front, number: int) -> list[SignedOffer]:
    """Ask by so many renters in one request; return the owner's first offers, not made yet."""
    listing = front.offer_for_hire()
    questions = [
        RenterActor(clock=front.clock, name=f"renter {each}").question(listing.document)
        for each in range(number)
    ]
    asked = front.post("/v1/moves", {"moves": [a_move("question", each) for each in questions]})
    assert asked.status_code == 200, asked.text
    assert asked.json is not None
    names = [answer["quote_id"] for answer in asked.json["answers"]]
    return [
        front.device.first_offer(question.request, listing.document, name)
        for question, name in zip(questions, names, strict=True)
    ]


def test_each_move_has_the_answer_that_it_would_have_alone(front: Front) -> None:
    first, second = first_offers(front, 2)
    forged = second.model_copy(update={"signature": first.signature})
    moves = [a_move("offer", each) for each in (first, forged, second)]
    answer = front.post("/v1/moves", {"moves": [*moves, {"kind": "offer"}]})
    assert answer.status_code == 200
    assert answer.json is not None
    made, refused, also_made, unread = answer.json["answers"]
    assert (made["outcome"], also_made["outcome"]) == ("done", "done")
    assert made["state"] == {
        "status": "open", "turn": "renter", "offers": 1, "signed_by": [], "rental_id": None
    }  # fmt: skip
    problem = refused.pop("problem")
    assert refused == {"outcome": "refused", "quote_id": second.offer.quote_id, "state": None}
    assert (problem["status"], problem["code"]) == (403, "wrong_signer")
    assert (unread["problem"]["status"], unread["problem"]["code"]) == (422, "invalid")


def test_repeated_with_its_key_is_answered_as_before(front: Front) -> None:
    moves = {"moves": [a_move("offer", each) for each in first_offers(front, 3)]}
    once = front.post("/v1/moves", moves, Idempotency_Key="again")
    twice = front.post("/v1/moves", moves, Idempotency_Key="again")
    without = front.post("/v1/moves", moves)
    assert once.json == twice.json == without.json
    assert twice.headers["Idempotency-Replayed"] == "true"


def test_what_was_not_made_yet_is_not_kept_under_its_key(
    front: Front, monkeypatch: pytest.MonkeyPatch
) -> None:
    listing = front.offer_for_hire()
    moves = {"moves": [a_move("question", front.renter.question(listing.document))]}

    def silent(*_: Any, **__: Any) -> NoReturn:
        raise Unavailable("listing_silent", "listing does not answer")

    with monkeypatch.context() as patched:
        patched.setattr(Facts, "session_for", silent)
        first = front.post("/v1/moves", moves, Idempotency_Key="early")
    again = front.post("/v1/moves", moves, Idempotency_Key="early")
    assert [response.json["answers"][0]["outcome"] for response in (first, again) if response.json] == [
        "unavailable",
        "done",
    ]


def test_a_request_that_is_no_list_of_moves_is_refused_as_a_whole(front: Front) -> None:
    refused: list[list[Any]] = [[], ["a move"], [{}] * 257]
    for moves in refused:
        answer = front.post("/v1/moves", {"moves": moves})
        assert answer.status_code == 422
        assert answer.json is not None
        assert answer.json["code"] == "invalid"


def test_together_they_cost_as_much_of_the_rate_limit_as_alone(tmp_path: Path) -> None:
    settings = QUICK.model_copy(update={"rate_limit": "6 per hour"})
    with running_front(sqlite_urls(tmp_path), clock=FixedClock(NOW), settings=settings) as front:
        moves = {"moves": [{"kind": "offer"}] * 4}
        assert front.post("/v1/moves", moves).status_code == 200
        assert front.post("/v1/moves", moves).status_code == 429
        # Other requests have a count of their own, and one each.
        assert [front.client.get("/v1/platform").status_code for _ in range(6)] == [200] * 6


def test_what_is_no_list_of_moves_counts_once(front: Front) -> None:
    for body in (b"", b"{", b"[]", b"1", b'{"moves":1}', b'{"moves":{}}', b"[" * 100_000, b"\xff"):
        answer = front.client.post("/v1/moves", data=body, content_type="application/json")
        assert answer.status_code in {400, 422}, body[:20]
