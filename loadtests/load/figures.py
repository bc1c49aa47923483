"""From what locust and Prometheus's counters say to the figures of a run."""

import math
import re
from collections.abc import Iterable, Mapping
from typing import Any

BUCKET = re.compile(r"hireling_chassis_rpc_called_seconds_bucket\{(?P<labels>[^}]*)\} (?P<count>\S+)")
LIMIT = re.compile(r'le="([^"]+)"')

Report = Mapping[str, Any]


def percentile(reports: Iterable[Report], share: float, *, kinds: set[str], named: str = "") -> float:
    """Return the time in ms below which this share of all that was measured lies; 0 where nothing was."""
    times: dict[float, int] = {}
    for report in reports:
        for entry in report["entries"]:
            if entry["kind"] in kinds and entry["name"].startswith(named):
                for ms, count in entry["times_ms"].items():
                    times[float(ms)] = times.get(float(ms), 0) + count
    left = math.ceil(share * sum(times.values()))
    for ms in sorted(times):
        left -= times[ms]
        if left <= 0:
            return ms
    return 0.0


def count(reports: Iterable[Report], *, kinds: set[str], named: str = "") -> int:
    """Return how often something was measured."""
    return sum(
        entry["count"]
        for report in reports
        for entry in report["entries"]
        if entry["kind"] in kinds and entry["name"].startswith(named)
    )


def failures(reports: Iterable[Report]) -> int:
    """Return how often something failed."""
    return sum(entry["failures"] for report in reports for entry in report["entries"])


def calls(metrics: str) -> dict[float, float]:
    """Return how many calls took at most so many seconds, from a process's metrics."""
    found: dict[float, float] = {}
    for each in BUCKET.finditer(metrics):
        limit = LIMIT.search(each["labels"])
        if limit is not None:
            seconds = float(limit[1])
            found[seconds] = found.get(seconds, 0.0) + float(each["count"])
    return found


def slowest_call(before: Mapping[float, float], after: Mapping[float, float], share: float) -> float:
    """Return the ms below which this share of the calls between two looks lies; 0 where there were none.

    Within its bucket in proportion.
    """
    reached = {limit: after[limit] - before.get(limit, 0.0) for limit in sorted(after)}
    wanted = share * reached.get(math.inf, 0.0)
    low = low_count = 0.0
    for limit, up_to in reached.items():
        if wanted and up_to >= wanted:
            top = low if math.isinf(limit) else limit
            part = (wanted - low_count) / (up_to - low_count) if up_to > low_count else 0.0
            return (low + (top - low) * part) * 1000
        low, low_count = limit, up_to
    return 0.0
