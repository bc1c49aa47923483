"""One rental followed through every process by its id: what they tell a collector, and what they log."""

import json
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from services.embedded.marketplace import Marketplace
from tests.e2e.conftest import opened
from tests.e2e.journey import Sides, a_trace, bill_of
from tests.spans import Collector, SpanSeen, collecting

SPEED = 20
ROWS = 60
# What a meter's readings lead to, in order, by service and work.
FROM_DEVICE_TO_BILL = [
    ("metering", "accept readings"),
    ("settlement", "settlement.on_usage_accepted"),
    ("settlement", "see close"),
    ("settlement", "issue bill"),
    ("metering", "metering.on_bill_issued"),
]
TOLD_WITHIN = 60.0  # seconds; a process exports every five


@pytest.fixture
def collector() -> Iterator[Collector]:
    """Receive spans."""
    with collecting() as collector:
        yield collector


@pytest.fixture
def market(tmp_path: Path, collector: Collector, monkeypatch: pytest.MonkeyPatch) -> Iterator[Marketplace]:
    """Open a marketplace whose processes tell the collector, and log JSON."""
    monkeypatch.setenv("HIRELING_OTLP_ENDPOINT", collector.endpoint)
    monkeypatch.setenv("HIRELING_LOG_FORMAT", "json")
    with opened(tmp_path / "market") as market:
        yield market


@pytest.mark.journey
def test_a_rental_is_followed_from_its_readings_to_its_bill(
    market: Marketplace, collector: Collector, tmp_path: Path
) -> None:
    sides = Sides(market, tmp_path)
    sides.fill_wallet()
    machine = a_trace(tmp_path / "motor.csv", rows=ROWS)
    with (
        sides.device(*machine.driver(SPEED)) as device,
        sides.renter(device.of("device_ready")[0]["device"]) as renter,
    ):
        signed = bill_of(renter)
    rental_id = f"0x{signed.bill.rental.rental_id.hex()}"
    trace_id = rental_id[2:34]

    def own() -> list[SpanSeen]:
        return collector.of_trace(trace_id)

    wait_until(lambda: {(span.service, span.name) for span in own()} >= set(FROM_DEVICE_TO_BILL))
    accepted = {span.span_id for span in own() if span.name == "accept readings"}
    counted = [span for span in own() if span.name == "settlement.on_usage_accepted"]
    assert {span.parent_id for span in counted} <= accepted
    assert all(span.rental_id in (rental_id, None) for span in own())
    # What people ask about it is linked to it, in whatever trace of their own.
    about = [span for span in collector.spans if trace_id in span.linked]
    assert {"gateway", "settlement"} <= {span.service for span in about}
    assert all(span.rental_id == rental_id for span in about)
    (agreed,) = [span for span in about if span.name == "settlement.on_agreed"]
    asked = {span.service for span in collector.of_trace(agreed.trace_id)}
    assert asked >= {"gateway", "negotiation", "metering", "settlement"}

    logged = [line for line in log_lines(market) if line.get("trace_id") == trace_id]
    assert {"transaction_signed", "transaction_seen", "bill_issued"} <= {line["event"] for line in logged}


def wait_until(condition: Callable[[], bool]) -> None:
    """Wait until the collector has heard of it. Raises TimeoutError."""
    deadline = time.monotonic() + TOLD_WITHIN
    while not condition():
        if time.monotonic() > deadline:
            raise TimeoutError(f"not told within {TOLD_WITHIN} s")
        time.sleep(0.1)


def log_lines(market: Marketplace) -> Iterator[dict[str, str]]:
    """Yield what the marketplace's processes logged as JSON."""
    for path in (market.settings.home / "logs").glob("*.log"):
        for line in path.read_text(errors="replace").splitlines():
            if line.startswith("{"):
                yield json.loads(line)
