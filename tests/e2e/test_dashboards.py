"""A real Prometheus reads a marketplace where a machine is rented: each dashboard has something to show."""

import json
import shutil
import subprocess
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from services.embedded.marketplace import Marketplace
from tests.e2e.conftest import opened
from tests.e2e.journey import rented
from tests.e2e.ports import free_ports
from tests.e2e.prometheus import ALERTS, Prometheus, prometheus_reading

DASHBOARDS = Path(__file__).parents[2] / "infra" / "grafana" / "dashboards"
# A service's timers, a round of comparisons and two scrapes of each.
SHOWN_WITHIN = 60.0
WINDOW = "5m"
# Only of clocks that the operating system calls synchronised: none may be here.
OF_SYNCHRONISED_CLOCKS = "hireling_metering_age_seconds"

pytestmark = [pytest.mark.stack, pytest.mark.journey, pytest.mark.timeout(600)]


@dataclass(frozen=True)
class Watched:
    """A marketplace in which a machine was rented, and who watched."""

    market: Marketplace
    prometheus: Prometheus


@pytest.fixture
def watched(tmp_path: Path) -> Iterator[Watched]:
    """Rent a machine under a Prometheus's eyes."""
    folder = tmp_path
    platform, ingest, moves = free_ports(3)
    processes = {"gateway": platform, "metering-ingest": ingest, "negotiation-ingest": moves}
    with pytest.MonkeyPatch.context() as environment:
        environment.setenv("EMBEDDED_METRICS_PORT", str(platform))
        environment.setenv("METERING_INGEST_METRICS_PORT", str(ingest))
        environment.setenv("NEGOTIATION_INGEST_METRICS_PORT", str(moves))
        with (
            opened(folder / "market") as market,
            prometheus_reading(folder / "prometheus", processes) as prometheus,
        ):
            # Seen before anything happens: counters rise from there.
            wait_until(lambda: len(prometheus.query("up == 1")) == len(processes))
            rented(market, folder)
            yield Watched(market, prometheus)


def queries() -> list[str]:
    """Return the queries of all dashboards."""
    found: list[str] = []
    for path in sorted(DASHBOARDS.glob("*.json")):
        panels = json.loads(path.read_text())["panels"]
        found += [target["expr"] for panel in panels for target in panel["targets"]]
    return sorted({query for query in found if OF_SYNCHRONISED_CLOCKS not in query})


def test_dashboards_show_a_rental_and_alerts_a_process_that_is_gone(watched: Watched) -> None:
    prometheus = watched.prometheus
    unanswered = queries()
    wait_until(lambda: not still_unanswered(prometheus, unanswered))
    assert unanswered == []
    (drift,) = prometheus.query("max (hireling_settlement_drift_base_units)")
    (uncovered,) = prometheus.query("max (hireling_settlement_uncovered_base_units)")
    assert (drift["value"][1], uncovered["value"][1]) == ("0", "0")
    assert alerting(prometheus, "firing") == set()
    # The first of its kind is seen too.
    (closed,) = prometheus.query(
        f'sum (increase(hireling_settlement_transactions_total{{kind="close"}}[{WINDOW}]))'
    )
    assert float(closed["value"][1]) > 0

    watched.market.ingest.kill()
    wait_until(lambda: alerting(prometheus, "pending", "firing") >= {"ProcessDown", "IngestGone"})
    assert alerting(prometheus, "pending", "firing") >= {"ProcessDown", "IngestGone"}


def test_the_rules_are_what_prometheus_takes() -> None:
    promtool = shutil.which("promtool")
    assert promtool is not None, "promtool is not installed. Mend: sudo infra/setup-debian.sh"
    folder = ALERTS.parent
    subprocess.run([promtool, "check", "config", str(folder / "prometheus.yml")], check=True, timeout=60)


def still_unanswered(prometheus: Prometheus, unanswered: list[str]) -> list[str]:
    """Take what is answered by now off the list, and return it."""
    unanswered[:] = [query for query in unanswered if not shown(prometheus, query)]
    return unanswered


def shown(prometheus: Prometheus, query: str) -> bool:
    """Return whether a dashboard's query gives something else than gaps."""
    series = prometheus.query(query.replace("$__rate_interval", WINDOW))
    return any(each["value"][1] != "NaN" for each in series)


def alerting(prometheus: Prometheus, *states: str) -> set[str]:
    """Return the alerts in one of these states."""
    return {alert["labels"]["alertname"] for alert in prometheus.alerts() if alert["state"] in states}


def wait_until(condition: Callable[[], bool]) -> None:
    """Wait for what Prometheus has to see, or for as long as that may take."""
    deadline = time.monotonic() + SHOWN_WITHIN
    while not condition() and time.monotonic() < deadline:
        time.sleep(0.5)
