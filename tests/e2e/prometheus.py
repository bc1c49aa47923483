"""A real Prometheus that reads a marketplace's processes, for the length of a block."""

import json
import shutil
import subprocess
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx

from tests.e2e.ports import free_ports

ALERTS = Path(__file__).parents[2] / "infra" / "prometheus" / "alerts.yml"
SCRAPED_EVERY = "1s"
READY_WITHIN = 60.0


@dataclass(frozen=True)
class Prometheus:
    """Where it answers."""

    url: str

    def query(self, expression: str) -> list[dict[str, Any]]:
        """Return the series that an expression gives now. Raises httpx.HTTPStatusError for a wrong one."""
        found = self._get("query", query=expression)
        return list(found["result"])

    def alerts(self) -> list[dict[str, Any]]:
        """Return the alerts that are pending or firing."""
        return list(self._get("alerts")["alerts"])

    def _get(self, path: str, **parameters: str) -> Any:
        answer = httpx.get(f"{self.url}/api/v1/{path}", params=parameters, timeout=10)
        return answer.raise_for_status().json()["data"]

    def is_ready(self) -> bool:
        """Return whether it answers questions."""
        try:
            return httpx.get(f"{self.url}/-/ready", timeout=5).is_success
        except httpx.TransportError:
            return False


@contextmanager
def prometheus_reading(folder: Path, processes: Mapping[str, int]) -> Iterator[Prometheus]:
    """Run Prometheus with our alerts; `processes` are names and the ports of their metrics."""
    program = shutil.which("prometheus")
    assert program is not None, "prometheus is not installed. Mend: sudo infra/setup-debian.sh"
    (port,) = free_ports(1)
    configuration = {
        "global": {"scrape_interval": SCRAPED_EVERY, "evaluation_interval": SCRAPED_EVERY},
        "rule_files": [str(ALERTS)],
        "scrape_configs": [
            {
                "job_name": "hireling",
                "static_configs": [
                    {"targets": [f"127.0.0.1:{port}"], "labels": {"process": name}}
                    for name, port in processes.items()
                ],
            }
        ],
    }
    folder.mkdir()
    (folder / "prometheus.yml").write_text(json.dumps(configuration))  # JSON is YAML
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen(
            [
                program,
                f"--config.file={folder}/prometheus.yml",
                f"--storage.tsdb.path={folder}/data",
                f"--web.listen-address=127.0.0.1:{port}",
            ],
            stdout=log,
            stderr=log,
        )
    prometheus = Prometheus(f"http://127.0.0.1:{port}")
    try:
        deadline = time.monotonic() + READY_WITHIN
        while not prometheus.is_ready():
            assert process.poll() is None, (folder / "log").read_text()[-2000:]
            assert time.monotonic() < deadline, f"no Prometheus within {READY_WITHIN} s"
            time.sleep(0.1)
        yield prometheus
    finally:
        process.terminate()
        process.wait(timeout=30)
