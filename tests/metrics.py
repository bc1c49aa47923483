"""A process's metrics, as Prometheus reads them: over HTTP, in its text format."""

from collections.abc import Mapping
from urllib.error import URLError
from urllib.request import urlopen

from prometheus_client.parser import text_string_to_metric_families

WITHIN_SECONDS = 10.0


class Scrape:
    """One answer of a metrics endpoint."""

    def __init__(self, text: str) -> None:
        self._samples = [
            (sample.name, dict(sample.labels), sample.value)
            for family in text_string_to_metric_families(text)
            for sample in family.samples
        ]

    def __call__(self, name: str, **labels: str) -> float:
        """Return the sum of a metric's series with these labels, 0 for none."""
        wanted = labels.items()
        return sum(value for found, has, value in self._samples if found == name and wanted <= has.items())

    def labels(self, name: str) -> list[Mapping[str, str]]:
        """Return the labels of each of a metric's series."""
        return [labels for found, labels, _ in self._samples if found == name]


def scrape(port: int) -> Scrape:
    """Ask a process on this machine for its metrics. Raises OSError where nobody answers."""
    with urlopen(f"http://127.0.0.1:{port}/metrics", timeout=WITHIN_SECONDS) as response:
        return Scrape(response.read().decode())


def has_metrics(port: int) -> bool:
    """Return whether metrics are served on this port."""
    try:
        scrape(port)
    except (URLError, OSError):
        return False
    return True
