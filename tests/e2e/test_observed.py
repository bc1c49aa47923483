"""One rental seen from outside: followed through every process by its id, and counted by every process."""

import json
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import pytest

from hireling.rental.bill import SignedBill
from hireling.rental.reading import ClockQuality
from services.embedded.marketplace import Marketplace
from tests.e2e.conftest import opened
from tests.e2e.journey import rented
from tests.e2e.ports import free_ports
from tests.metrics import scrape
from tests.spans import Collector, SpanSeen, collecting

# What a meter's readings lead to, in order, by service and work.
FROM_DEVICE_TO_BILL = [
    ("metering", "accept readings"),
    ("settlement", "settlement.on_usage_accepted"),
    ("settlement", "see close"),
    ("settlement", "issue bill"),
    ("metering", "metering.on_bill_issued"),
]
# A process exports its spans every five seconds, and measures its money as often.
TOLD_WITHIN = 60.0


@dataclass(frozen=True)
class Observed:
    """A rental that came to its bill, and where to look."""

    market: Marketplace
    collector: Collector
    platform_port: int
    ingest_port: int
    moves_port: int
    bill: SignedBill

    @property
    def rental_id(self) -> str:
        """Return the rental's id, 0x-hex."""
        return f"0x{self.bill.bill.rental.rental_id.hex()}"

    @property
    def trace_id(self) -> str:
        """Return the id of the rental's own trace."""
        return self.rental_id[2:34]

    def own_spans(self) -> list[SpanSeen]:
        """Return what was told of the rental's own trace."""
        return self.collector.of_trace(self.trace_id)

    def log_lines(self) -> Iterator[dict[str, str]]:
        """Yield what the marketplace's processes logged as JSON."""
        for path in (self.market.settings.home / "logs").glob("*.log"):
            for line in path.read_text(errors="replace").splitlines():
                if line.startswith("{"):
                    yield json.loads(line)


@pytest.fixture(scope="module")
def observed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Observed]:
    """Rent a machine in a marketplace whose processes tell a collector, serve their metrics and log JSON."""
    folder = tmp_path_factory.mktemp("observed")
    platform_port, ingest_port, moves_port = free_ports(3)
    with collecting() as collector, pytest.MonkeyPatch.context() as environment:
        environment.setenv("HIRELING_OTLP_ENDPOINT", collector.endpoint)
        environment.setenv("HIRELING_LOG_FORMAT", "json")
        environment.setenv("EMBEDDED_METRICS_PORT", str(platform_port))
        environment.setenv("METERING_INGEST_METRICS_PORT", str(ingest_port))
        environment.setenv("NEGOTIATION_INGEST_METRICS_PORT", str(moves_port))
        with opened(folder / "market") as market:
            bill = rented(market, folder)
            yield Observed(market, collector, platform_port, ingest_port, moves_port, bill)


@pytest.mark.journey
class TestARental:
    def test_is_followed_from_its_readings_to_its_bill_in_one_trace(self, observed: Observed) -> None:
        wait_until(
            lambda: {(span.service, span.name) for span in observed.own_spans()} >= set(FROM_DEVICE_TO_BILL)
        )
        own = observed.own_spans()
        accepted = {span.span_id for span in own if span.name == "accept readings"}
        counted = [span for span in own if span.name == "settlement.on_usage_accepted"]
        assert {span.parent_id for span in counted} <= accepted
        assert all(span.rental_id in (observed.rental_id, None) for span in own)

    def test_is_linked_from_what_people_asked_about_it(self, observed: Observed) -> None:
        def about() -> list[SpanSeen]:
            return [span for span in observed.collector.spans if observed.trace_id in span.linked]

        wait_until(lambda: any(span.name == "settlement.on_agreed" for span in about()))
        assert {"gateway", "settlement"} <= {span.service for span in about()}
        assert all(span.rental_id == observed.rental_id for span in about())
        (agreed,) = [span for span in about() if span.name == "settlement.on_agreed"]
        whole = observed.collector.of_trace(agreed.trace_id)
        asked, names = {span.service for span in whole}, {span.name for span in whole}
        # The last signature came over HTTP, or over the broker.
        assert asked >= {"negotiation", "metering", "settlement"}
        assert "gateway" in asked or "make moves" in names

    def test_is_found_in_the_logs_by_the_same_id(self, observed: Observed) -> None:
        logged = {line["event"] for line in observed.log_lines() if line.get("trace_id") == observed.trace_id}
        assert {"transaction_signed", "transaction_seen", "bill_issued"} <= logged

    def test_is_counted_by_every_process(self, observed: Observed) -> None:
        bill = observed.bill.bill
        wait_until(
            lambda: scrape(observed.platform_port)("hireling_settlement_rentals", state="SETTLED") == 1
        )
        ingest, platform = scrape(observed.ingest_port), scrape(observed.platform_port)
        assert ingest("hireling_metering_readings_accepted_total") == len(bill.readings)
        assert ingest("hireling_metering_acks_total") >= 1
        # The machine's agent moved over the line that it holds for its readings.
        moves = scrape(observed.moves_port)
        assert moves("hireling_negotiation_moves_answered_total", outcome="done") >= 1
        # Only a clock that the operating system calls synchronised is asked for a reading's age.
        timed = sum(signed.reading.sample.clock is ClockQuality.SYNCHRONISED for signed in bill.readings)
        assert min(1, timed) <= ingest("hireling_metering_age_seconds_count") <= timed
        assert platform("hireling_settlement_paid_base_units") == bill.total
        assert platform("hireling_settlement_held_base_units") == 0
        assert platform("hireling_settlement_transactions_total", kind="close", outcome="confirmed") == 1
        assert platform("hireling_gateway_requests_total", route="/v1/rentals/<rental_id>", status="200") >= 1
        told = {"service": "metering", "event": "metering.usage_accepted"}
        assert platform("hireling_chassis_events_published_total", **told) >= 1
        assert platform("hireling_chassis_events_heard_total", outcome="parked") == 0
        for service in ("listing", "negotiation", "metering", "settlement"):
            assert platform("hireling_chassis_timer_runs_total", service=service, outcome="failed") == 0


def wait_until(condition: Callable[[], bool]) -> None:
    """Wait until it is told. Raises TimeoutError."""
    deadline = time.monotonic() + TOLD_WITHIN
    while not condition():
        if time.monotonic() > deadline:
            raise TimeoutError(f"not told within {TOLD_WITHIN} s")
        time.sleep(0.1)
