"""A POST with an Idempotency-Key happens once."""

from collections.abc import Iterator
from contextlib import contextmanager

import jsonschema_rs
import pytest
from sqlmodel import Session

from services.chassis.database import Database
from services.gateway import openapi, store
from services.messages.errors import Unavailable
from tests.fakes.front import Front

(PARAMETER,) = (
    parameter
    for parameter in openapi.document()["paths"]["/v1/devices"]["post"]["parameters"]
    if parameter["name"] == "Idempotency-Key"
)
KEY = jsonschema_rs.validator_for(PARAMETER["schema"])


def test_the_same_key_and_body_get_the_same_answer(front: Front) -> None:
    listing = front.offer_for_hire()
    question = front.renter.question(listing.document)
    first = front.post("/v1/quotes", question, Idempotency_Key="one")
    front.device.first_offer(question.request, listing.document, first.json["quote_id"])  # type: ignore[index]
    front.clock.advance(seconds=120)
    second = front.post("/v1/quotes", question, Idempotency_Key="one")
    assert second.headers["Idempotency-Replayed"] == "true"
    assert (second.status_code, second.data, second.content_type) == (200, first.data, first.content_type)


def test_the_same_key_with_another_body_is_refused(front: Front) -> None:
    front.post("/v1/devices", front.device.registration(), Idempotency_Key="one")
    other = front.post(
        "/v1/devices", front.device.registration(valid_until=front.device.now(60)), Idempotency_Key="one"
    )
    assert other.status_code == 422
    assert other.json["code"] == "idempotency_key_reused"  # type: ignore[index]


def test_the_same_key_on_another_path_is_refused(front: Front) -> None:
    front.post("/v1/devices", front.device.registration(), Idempotency_Key="one")
    assert front.post("/v1/listings", front.device.listing(), Idempotency_Key="one").status_code == 422


def test_an_error_is_not_kept(front: Front) -> None:
    early = front.post("/v1/listings", front.device.listing(), Idempotency_Key="one")
    assert early.status_code == 404
    front.admit()
    assert front.post("/v1/listings", front.device.listing(), Idempotency_Key="one").status_code == 200


def test_an_answer_is_forgotten_after_a_day(front: Front) -> None:
    front.post("/v1/devices", front.device.registration(), Idempotency_Key="one")
    front.clock.advance(seconds=86_401)
    again = front.post("/v1/devices", front.device.registration(), Idempotency_Key="one")
    assert "Idempotency-Replayed" not in again.headers


def test_a_request_still_being_answered_is_not_answered_twice(front: Front) -> None:
    request = front.device.registration()
    front.post("/v1/devices", request, Idempotency_Key="one")
    with front.gateway_rows.unit_of_work() as session:
        kept = store.lock_answer(session, "one")
        assert kept is not None
        kept.status = 0
    assert front.post("/v1/devices", request, Idempotency_Key="one").status_code == 409
    front.clock.advance(seconds=61)
    assert front.post("/v1/devices", request, Idempotency_Key="one").status_code == 200


@pytest.mark.parametrize(
    "key",
    [
        "",
        " ",
        "a b",
        " a",
        "a ",
        "a\tb",
        "a\x00",
        "\x01",
        "\x7f",
        "a\xa0b",
        "k\xe9",
        "\xff",
        "x" * 256,
        "null,null",
        "one,two",
        "one, two",
    ],
    ids=ascii,
)
def test_a_key_that_the_document_does_not_allow_is_invalid(front: Front, key: str) -> None:
    assert not KEY.is_valid(key)
    response = front.post("/v1/devices", front.device.registration(), Idempotency_Key=key)
    assert (response.status_code, response.content_type) == (422, "application/problem+json")
    assert response.json["code"] == "idempotency_key_invalid"  # type: ignore[index]
    assert "Idempotency-Replayed" not in response.headers


@pytest.mark.parametrize("key", ["x", "!+-.~", "x" * 255, "0" * 36, '"8e03978e-40d5-43e8-bc93-6894a57f9324"'])
def test_a_key_that_the_document_allows_is_kept(front: Front, key: str) -> None:
    assert KEY.is_valid(key)
    first, second = (
        front.post("/v1/devices", front.device.registration(), Idempotency_Key=key) for _ in range(2)
    )
    assert (first.status_code, second.status_code) == (200, 200)
    assert second.headers["Idempotency-Replayed"] == "true"


def test_a_key_that_came_twice_is_invalid(front: Front) -> None:
    twice = [("Idempotency-Key", "one"), ("Idempotency-Key", "two")]
    body = front.device.registration().model_dump(mode="json")
    response = front.client.post("/v1/devices", json=body, headers=twice)
    assert (response.status_code, response.json["code"]) == (422, "idempotency_key_invalid")  # type: ignore[index]


def test_an_answer_that_cannot_be_kept_is_given_all_the_same(
    front: Front, monkeypatch: pytest.MonkeyPatch
) -> None:
    fading = Fading(front.gateway_rows, after=1)
    monkeypatch.setattr(front.gateway_rows, "queue_work", fading.queue_work)
    assert front.post("/v1/devices", front.device.registration(), Idempotency_Key="one").status_code == 200
    assert fading.refused == 1


class Fading:
    """A database that cannot be reached any more after so many transactions."""

    def __init__(self, database: Database, *, after: int) -> None:
        self.refused = 0
        self._after = after
        self._queue_work = database.queue_work

    @contextmanager
    def queue_work(self) -> Iterator[Session]:
        """Open a transaction, or raise."""
        if not self._after:
            self.refused += 1
            raise Unavailable("database_unreachable", "no connection to the database")
        self._after -= 1
        with self._queue_work() as session:
            yield session
