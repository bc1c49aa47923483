"""Every error is one problem+json, and different errors differ."""

import json

import pytest
from werkzeug.test import TestResponse

from tests.fakes.front import Front

NOBODY = "0x" + "00" * 32


def problem(response: TestResponse) -> dict[str, object]:
    """Return the problem that a response must be."""
    assert response.mimetype == "application/problem+json", response.text
    body: dict[str, object] = json.loads(response.text)
    assert {"type", "title", "status", "detail", "code"} <= set(body)
    assert body["status"] == response.status_code
    return body


def test_a_path_nobody_knows_is_not_found(front: Front) -> None:
    assert problem(front.client.get("/v1/nothing"))["status"] == 404


def test_a_method_nobody_allows_names_those_that_are(front: Front) -> None:
    response = front.client.delete("/v1/devices")
    assert problem(response)["status"] == 405
    assert {"GET", "POST"} <= set(response.headers["Allow"].split(", "))


def test_a_device_nobody_registered_is_not_found(front: Front) -> None:
    found = problem(front.client.get(f"/v1/devices/{NOBODY}"))
    assert (found["status"], found["code"]) == (404, "device_not_found")


def test_a_hash_that_is_none_is_invalid_and_named(front: Front) -> None:
    found = problem(front.client.get("/v1/devices/0x12"))
    assert (found["status"], found["code"]) == (422, "invalid")
    assert "device" in json.dumps(found["errors"])


def test_a_rule_that_says_no_is_refused_with_the_numbers(front: Front) -> None:
    wish = front.device.registration(valid_until=front.device.now(-1))
    found = problem(front.post("/v1/devices", wish))
    assert (found["status"], found["code"], found["type"]) == (
        403,
        "possession_expired",
        "urn:hireling:problem:refused",
    )
    assert found["valid_until"] == front.device.now(-1)


def test_a_state_that_contradicts_is_a_conflict(front: Front) -> None:
    listing = front.offer_for_hire()
    front.clock.advance(seconds=31)
    found = problem(front.post("/v1/quotes", front.renter.question(listing.document)))
    assert (found["status"], found["code"]) == (409, "device_offline")


def test_a_service_that_does_not_run_is_unavailable_and_says_when_to_retry(
    front_without_metering: Front,
) -> None:
    response = front_without_metering.client.get(f"/v1/rentals/{NOBODY}/readings")
    found = problem(response)
    assert (found["status"], found["code"]) == (503, "service_not_running")
    assert response.headers["Retry-After"] == "2"


def test_a_body_that_is_not_json_is_told_so(front: Front) -> None:
    assert problem(front.client.post("/v1/devices", data="x", content_type="text/plain"))["status"] == 415
    assert (
        problem(front.client.post("/v1/devices", data="{", content_type="application/json"))["status"] == 400
    )


@pytest.mark.parametrize(
    "body", ["[]", '"{}"', "null", "1", '{"address": "\\u0000"}', '{"\\ud800": 1}', "[" * 9_000]
)
def test_json_that_is_no_object_of_clean_text_is_refused(front: Front, body: str) -> None:
    response = front.client.post("/v1/faucet", data=body, content_type="application/json")
    assert problem(response)["status"] in {400, 422}


def test_a_body_beyond_the_limit_is_too_large(front: Front) -> None:
    body = json.dumps({"address": "0x" + "0" * 1_000_001})
    assert (
        problem(front.client.post("/v1/faucet", data=body, content_type="application/json"))["status"] == 413
    )


def test_health_is_ok_where_every_service_answers(front: Front) -> None:
    assert front.get("/health")["status"] == "ok"


def test_health_tells_which_service_is_missing(front_without_metering: Front) -> None:
    response = front_without_metering.client.get("/health")
    assert response.status_code == 503
    body = json.loads(response.text)
    assert body["status"] == "degraded"
    assert "error" in body["services"]["metering"]
    assert "error" not in body["services"]["listing"]


def test_every_response_carries_the_security_headers(front: Front) -> None:
    for path in ("/", "/v1/platform", "/v1/nothing"):
        headers = front.client.get(path).headers
        assert headers["X-Content-Type-Options"] == "nosniff"
        assert "default-src 'none'" in headers["Content-Security-Policy"]


class TestDocuments:
    def test_of_http_and_of_mqtt_are_served(self, front: Front) -> None:
        assert front.get("/openapi.json")["info"]["title"] == "Hireling"
        response = front.client.get("/asyncapi.yaml")
        assert (response.status_code, response.mimetype) == (200, "application/yaml")
        assert response.text.partition("\n")[2].startswith("asyncapi: 3.0.0\n")
