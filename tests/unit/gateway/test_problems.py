"""How errors become responses."""

import json

import pytest
from flask import Flask

from services.gateway.problems import problem_of
from services.messages.errors import (
    Conflict,
    Forbidden,
    HirelingError,
    Invalid,
    NotFound,
    OperatorError,
    OutcomeUnknown,
    Refused,
    Unavailable,
)

KINDS: list[tuple[type[HirelingError], int, str]] = [
    (NotFound, 404, "not-found"),
    (Invalid, 422, "invalid"),
    (Conflict, 409, "conflict"),
    (Refused, 403, "refused"),
    (Forbidden, 403, "forbidden"),
    (Unavailable, 503, "unavailable"),
    (OutcomeUnknown, 504, "outcome-unknown"),
]


@pytest.mark.parametrize(("kind", "status", "name"), KINDS)
def test_each_kind_has_its_status_and_type(kind: type[HirelingError], status: int, name: str) -> None:
    with Flask(__name__).app_context():
        response = problem_of(kind("reason", "what happened", amount=7))
    body = json.loads(response.get_data())
    assert (response.status_code, body["type"]) == (status, f"urn:hireling:problem:{name}")
    assert (body["code"], body["detail"], body["amount"]) == ("reason", "what happened", 7)


def test_no_two_kinds_look_the_same() -> None:
    assert len({name for _, _, name in KINDS}) == len(KINDS)


def test_what_only_the_operator_can_mend_tells_callers_nothing() -> None:
    with Flask(__name__).app_context():
        response = problem_of(OperatorError("no_gas", "relayer 0x12 has 3 wei", account="0x12"))
    assert response.status_code == 500
    assert "0x12" not in response.get_data(as_text=True)


def test_a_field_cannot_replace_what_every_problem_says() -> None:
    with Flask(__name__).app_context():
        body = json.loads(problem_of(NotFound("reason", "what", status="done", title="mine")).get_data())
    assert (body["status"], body["title"]) == (404, "Not found")
