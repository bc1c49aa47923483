"""A process's metrics after real traffic, read from its real endpoint."""

import json
import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.error import HTTPError
from urllib.request import urlopen

import pytest

from services.chassis.metrics import serve_metrics
from services.chassis.migrations import migrate
from services.messages.errors import OperatorError, Unavailable
from tests.chain import free_port
from tests.integration.chassis.conftest import PACKAGE, end, start_process, wait
from tests.metrics import has_metrics, scrape

RAISES, FAILURES = 12, 3
EVENT = {"service": "toy", "event": "toy.counter_raised"}


@pytest.fixture
def port(tmp_path: Path) -> Iterator[int]:
    """Run the toy as a process that serves its metrics; return where."""
    for name in ("toy", "neighbour"):
        migrate(name, url=f"sqlite:///{tmp_path}/{name}.db", package=PACKAGE)
    port = free_port()
    process = start_process(
        HIRELING_HOME=str(tmp_path),
        HIRELING_AMQP_URI="hireling-memory://",
        TOY_METRICS_PORT=str(port),
        TOY_RAISES=str(RAISES),
        TOY_FAILURES=str(FAILURES),
    )
    wait(lambda: process.poll() is not None or has_metrics(port), timeout=60.0)
    yield port
    end(process)


class TestAProcess:
    def test_tells_of_its_calls_events_timers_and_outbox(self, port: int) -> None:
        heard = "hireling_chassis_events_heard_total"
        wait(lambda: scrape(port)(heard, outcome="done", **EVENT) >= RAISES, timeout=60.0)
        wait(lambda: scrape(port)("hireling_chassis_timer_runs_total", outcome="failed") >= 1, timeout=60.0)
        seen = scrape(port)
        raised = {"service": "toy", "method": "raise_counter"}
        assert seen("hireling_chassis_rpc_served_total", outcome="done", **raised) == RAISES
        assert seen("hireling_chassis_rpc_served_seconds_count", **raised) == RAISES
        assert seen("hireling_chassis_rpc_called_total", outcome="done", **raised) == RAISES
        assert seen("hireling_chassis_rpc_called_seconds_sum", **raised) >= seen(
            "hireling_chassis_rpc_served_seconds_sum", **raised
        )
        assert seen(heard, outcome="retried", **EVENT) == FAILURES
        assert seen(heard, outcome="parked") == 0
        assert seen("hireling_chassis_events_published_total", **EVENT) == RAISES
        assert seen("hireling_chassis_timer_runs_total", service="toy", timer="tick", outcome="failed") == 1
        assert {labels["service"] for labels in seen.labels("hireling_chassis_outbox_unsent")} == {
            "toy",
            "neighbour",
        }
        assert seen("process_resident_memory_bytes") > 0
        assert {name: said["service"] for name, said in health(port).items()} == {
            "toy": "toy",
            "neighbour": "neighbour",
        }


class TestHealth:
    def test_is_refused_with_the_reason_by_a_process_that_cannot_do_its_job(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        port = free_port()
        monkeypatch.setenv("LISTING_METRICS_PORT", str(port))

        def health_of_listing() -> dict[str, str]:
            raise Unavailable("database_away", "the database does not answer")

        serve_metrics("listing", health=health_of_listing)
        with pytest.raises(HTTPError) as refused:
            health(port)
        assert refused.value.code == 503
        assert "the database does not answer" in json.load(refused.value)["error"]


def health(port: int) -> dict[str, Any]:
    """Return what a process says of its health. Raises HTTPError where it is not well."""
    with urlopen(f"http://127.0.0.1:{port}/health", timeout=10.0) as response:
        answer: dict[str, Any] = json.load(response)
    return answer


class TestSeveralCopies:
    def test_take_the_next_free_port(self, monkeypatch: pytest.MonkeyPatch) -> None:
        with socket.socket() as taken:
            taken.bind(("127.0.0.1", 0))
            taken.listen()
            port = taken.getsockname()[1]
            monkeypatch.setenv("GATEWAY_METRICS_PORT", str(port))
            assert serve_metrics("gateway", copies=8) in range(port + 1, port + 8)

    def test_alone_says_that_its_port_is_busy(self, monkeypatch: pytest.MonkeyPatch) -> None:
        with socket.socket() as taken:
            taken.bind(("127.0.0.1", 0))
            taken.listen()
            monkeypatch.setenv("LISTING_METRICS_PORT", str(taken.getsockname()[1]))
            with pytest.raises(OperatorError, match="metrics_port_busy"):
                serve_metrics("listing")
