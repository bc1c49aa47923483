"""What the gateway counts, read from its endpoint."""

import pytest

from services.chassis.metrics import serve_metrics
from tests.chain import free_port
from tests.fakes.front import Front
from tests.metrics import scrape

RENTAL = "/v1/rentals/<rental_id>"


def test_requests_are_counted_by_route_and_status(front: Front, monkeypatch: pytest.MonkeyPatch) -> None:
    port = free_port()
    monkeypatch.setenv("GATEWAY_METRICS_PORT", str(port))
    assert serve_metrics("gateway") == port
    before = scrape(port)
    for number in range(3):
        assert front.client.get(f"/v1/rentals/0x{number:064x}").status_code == 404
    assert front.client.get("/v1/platform").status_code == 200
    assert front.client.open("/nowhere", method="BREW").status_code == 404
    after = scrape(port)

    def counted(**labels: str) -> float:
        name = "hireling_gateway_requests_total"
        return after(name, **labels) - before(name, **labels)

    assert counted(method="GET", route=RENTAL, status="404") == 3
    assert counted(route="/v1/platform", status="200") == 1
    assert counted(method="other", route="unmatched", status="404") == 1
    timed = "hireling_gateway_request_seconds_count"
    assert after(timed, route=RENTAL) - before(timed, route=RENTAL) == 3
    assert not any("0x" in labels["route"] for labels in after.labels("hireling_gateway_requests_total"))
