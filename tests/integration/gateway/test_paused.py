"""While an operator has new rentals paused, whoever asks for one is told why and when to ask again."""

import pytest

from tests.fakes.front import Front
from tests.fakes.settlement.service import FakeSettlement

REASON = "the chain is being upgraded"


@pytest.fixture
def paused(monkeypatch: pytest.MonkeyPatch) -> None:
    """Pause new rentals."""
    monkeypatch.setattr(FakeSettlement, "opens_paused", REASON)


def test_no_session_is_opened_and_the_reason_is_told(front: Front, paused: None) -> None:
    listing = front.offer_for_hire()
    response = front.post("/v1/quotes", front.renter.question(listing.document))
    assert response.status_code == 503
    assert response.headers["Retry-After"] == "60"
    assert response.json is not None
    assert (response.json["code"], response.json["reason"]) == ("opens_paused", REASON)
    assert front.get("/v1/platform")["opens_paused"] == REASON


def test_a_session_that_is_open_goes_on(front: Front, monkeypatch: pytest.MonkeyPatch) -> None:
    listing = front.offer_for_hire()
    question = front.renter.question(listing.document)
    quote_id = front.post("/v1/quotes", question).json["quote_id"]  # type: ignore[index]
    monkeypatch.setattr(FakeSettlement, "opens_paused", REASON)

    again = front.post("/v1/quotes", question)
    assert again.json is not None
    assert again.json["quote_id"] == quote_id
    offer = front.device.first_offer(question.request, listing.document, quote_id)
    assert front.post(f"/v1/quotes/{quote_id}/offers", offer).status_code == 200
