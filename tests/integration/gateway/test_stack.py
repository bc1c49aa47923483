"""The gateway as it runs on the stack: gunicorn's threads, RabbitMQ, services in their own processes."""

import os
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack

import httpx
import pytest

from services.chassis.migrations import migrate
from tests import stack
from tests.chain import free_port
from tests.integration.metering.servers import running_module, wait_until

pytestmark = pytest.mark.stack


@pytest.fixture
def gateway() -> Iterator[str]:
    """Run gateway and listing as processes; return the gateway's address."""
    port = free_port()
    with ExitStack() as cleanup:
        urls = {name: cleanup.enter_context(stack.fresh_database(name)) for name in ("gateway", "listing")}
        for name, url in urls.items():
            migrate(name, url=url)
        environment = {
            "HIRELING_AMQP_URI": os.environ["STACK_AMQP_URI"],
            "GATEWAY_PORT": str(port),
            **{f"{name.upper()}_DATABASE_URL": url for name, url in urls.items()},
        }
        cleanup.enter_context(running_module("services.listing", **environment))
        cleanup.enter_context(running_module("services.gateway", **environment))
        address = f"http://127.0.0.1:{port}"
        wait_until(lambda: listing_answers(address))
        yield address


def listing_answers(address: str) -> bool:
    """Return whether the gateway reaches the listing service."""
    try:
        health = httpx.get(f"{address}/health", timeout=30.0).json()
    except httpx.TransportError:
        return False
    return "error" not in health["services"]["listing"]


def test_answers_what_a_service_says_over_rabbitmq(gateway: str) -> None:
    with httpx.Client(base_url=gateway, timeout=30.0) as client:
        assert client.get("/v1/listings").json() == {"items": [], "next": None}
        assert client.get("/openapi.json").json()["openapi"].startswith("3.1")


def test_a_service_that_is_missing_is_unavailable(gateway: str) -> None:
    response = httpx.get(f"{gateway}/v1/bills", timeout=30.0)
    assert (response.status_code, response.json()["code"]) == (503, "service_not_running")


def test_streams_live(gateway: str) -> None:
    with httpx.stream("GET", f"{gateway}/live", timeout=30.0) as response:
        assert response.headers["content-type"].startswith("text/event-stream")
        assert "event: parts" in next(response.iter_text())


def test_requests_with_keys_of_their_own_do_not_hinder_each_other(gateway: str) -> None:
    with httpx.Client(base_url=gateway, timeout=60.0) as client:

        def statuses(thread: int) -> list[int]:
            keys = [f"{thread}-{number}" for number in range(20)]
            return [
                client.post("/v1/devices", json={}, headers={"Idempotency-Key": key}).status_code
                for key in keys
            ]

        with ThreadPoolExecutor(8) as threads:
            found = [status for some in threads.map(statuses, range(8)) for status in some]
    assert set(found) == {422}
