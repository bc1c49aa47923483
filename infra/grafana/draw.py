"""Draw the dashboards' panels from a running Prometheus, where there is no Grafana to look at.

``make draw-dashboards PROMETHEUS=http://127.0.0.1:9090``: a picture for each dashboard in build/dashboards/.
"""

import argparse
import json
import math
import re
import time
import urllib.parse
import urllib.request
from pathlib import Path
from typing import Any

import matplotlib as mpl

mpl.use("agg")

import matplotlib.pyplot as plt
from matplotlib.axes import Axes

DASHBOARDS = Path(__file__).parent / "dashboards"
COLUMNS = 3
POINTS = 120
SHORTEST_STEP = 1


def main() -> None:
    """Draw every dashboard."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--prometheus", default="http://127.0.0.1:9090")
    parser.add_argument("--minutes", type=float, default=15, help="how far back")
    parser.add_argument("--to", type=Path, default=Path("build/dashboards"), help="a folder for the pictures")
    arguments = parser.parse_args()
    arguments.to.mkdir(parents=True, exist_ok=True)
    for path in sorted(DASHBOARDS.glob("*.json")):
        dashboard = json.loads(path.read_text())
        picture = arguments.to / f"{path.stem}.png"
        draw(dashboard, arguments.prometheus, seconds=arguments.minutes * 60).savefig(picture, dpi=80)
        print(picture)


def draw(dashboard: dict[str, Any], prometheus: str, *, seconds: float) -> plt.Figure:
    """Return a picture of all panels of a dashboard over the last seconds."""
    panels = dashboard["panels"]
    rows = math.ceil(len(panels) / COLUMNS)
    figure, axes = plt.subplots(rows, COLUMNS, figsize=(16, 3.2 * rows), squeeze=False)
    figure.suptitle(dashboard["title"])
    for place in range(rows * COLUMNS):
        each = axes[place // COLUMNS][place % COLUMNS]
        if place < len(panels):
            draw_panel(each, panels[place], prometheus, seconds=seconds)
        else:
            each.axis("off")
    figure.tight_layout()
    return figure


def draw_panel(axes: Axes, panel: dict[str, Any], prometheus: str, *, seconds: float) -> None:
    """Draw the queries of one panel, each series under its legend."""
    now = time.time()
    for target in panel["targets"]:
        for series in ask(prometheus, target["expr"], since=now - seconds, until=now):
            moments = [float(moment) - now for moment, _ in series["values"]]
            legend = target["legendFormat"]
            for label, value in series["metric"].items():
                legend = legend.replace(f"{{{{{label}}}}}", value)
            legend = re.sub(r"\{\{\w+\}\}", "", legend).strip()
            axes.plot(moments, [float(value) for _, value in series["values"]], label=legend, linewidth=1)
    axes.set_title(f"{panel['title']} ({panel['fieldConfig']['defaults']['unit']})", fontsize=9)
    axes.tick_params(labelsize=7)
    axes.set_xlim(-seconds, 0)
    top = max(axes.get_ylim()[1], 0)
    axes.set_ylim(bottom=-0.03 * top, top=top)  # a line at 0 is seen
    if any(not str(line.get_label()).startswith("_") for line in axes.lines):
        axes.legend(fontsize=6, loc="upper left")


def ask(prometheus: str, query: str, *, since: float, until: float) -> list[dict[str, Any]]:
    """Return a query's series over a time."""
    step = max(SHORTEST_STEP, (until - since) / POINTS)
    parameters = {
        "query": query.replace("$__rate_interval", f"{max(15, int(4 * step))}s"),
        "start": since,
        "end": until,
        "step": step,
    }
    url = f"{prometheus}/api/v1/query_range?{urllib.parse.urlencode(parameters)}"
    with urllib.request.urlopen(url, timeout=30) as answer:  # noqa: S310 - the operator's own address
        return list(json.load(answer)["data"]["result"])


if __name__ == "__main__":
    main()
