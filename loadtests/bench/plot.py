"""Draw what the sweep measured: ``make bench-plot``, whose environment alone has matplotlib."""

import json
from pathlib import Path
from typing import Any

import matplotlib as mpl

mpl.use("svg")
mpl.rcParams["svg.hashsalt"] = "hireling"

import matplotlib.pyplot as plt  # noqa: E402 - the backend comes first
from matplotlib.axes import Axes  # noqa: E402

REPORT = Path("build/bench/sweep.json")
PICTURE = Path("docs/pictures/ingest.svg")


def main() -> None:
    """Read the figures and write the picture."""
    points: dict[str, list[dict[str, Any]]] = json.loads(REPORT.read_text())
    figure, (left, right) = plt.subplots(1, 2, figsize=(10, 4))
    draw(left, points["devices"], along="devices", title="single readings")
    draw(right, points["sizes"], along="size", title="signed batches, 100 devices")
    left.set_xlabel("devices")
    right.set_xlabel("readings in a message")
    figure.tight_layout()
    PICTURE.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(PICTURE, metadata={"Date": None})


def draw(axes: Axes, points: list[dict[str, Any]], *, along: str, title: str) -> None:
    """Draw throughput, and lag at half of it on an axis of its own."""
    places = [point[along] for point in points]
    axes.plot(places, [point["readings_per_second"] for point in points], "o-", color="#1f5fa8")
    axes.set_xscale("log")
    axes.set_ylim(bottom=0)
    axes.set_xticks(places, [f"{place:,}" for place in places])
    axes.minorticks_off()
    axes.set_ylabel("durable readings a second", color="#1f5fa8")
    axes.set_title(title)
    lag = axes.twinx()
    lag.plot(places, [point["lag_p99_ms"] for point in points], "s--", color="#b8562b")
    lag.set_ylim(bottom=0)
    lag.set_ylabel("p99 lag at half load, ms", color="#b8562b")


if __name__ == "__main__":
    main()
