"""Draws what a load left: ``.venv-loads/bin/python loadtests/load/plot.py build/load``."""

import csv
import json
import sys
from pathlib import Path

import matplotlib as mpl

mpl.use("Agg")
from matplotlib import pyplot as plt

PARTS = ("handshake", "searches", "rentals")
INCHES = (9, 6)


def draw_times(folder: Path, part: str) -> None:
    """Draw a part's requests a second and how long they took, over its time."""
    path = folder / f"{part}_stats_history.csv"
    if not path.exists():
        return
    with path.open(newline="") as file:
        rows = [row for row in csv.DictReader(file) if row["Name"] == "Aggregated"]
    rows = [row for row in rows if row["95%"] not in {"", "N/A"}]
    if not rows:
        return
    began = float(rows[0]["Timestamp"])
    seconds = [float(row["Timestamp"]) - began for row in rows]
    figure, (above, below) = plt.subplots(2, 1, figsize=INCHES, sharex=True)
    above.plot(seconds, [float(row["Requests/s"]) for row in rows])
    above.set_ylabel("a second")
    above.set_title(f"{part}: everything that was measured")
    for share in ("50%", "95%", "99%"):
        below.plot(seconds, [float(row[share]) for row in rows], label=share)
    below.set_ylabel("ms, last 10 s")
    below.set_xlabel("seconds")
    below.set_yscale("log")
    below.legend()
    figure.savefig(folder / f"{part}.svg", bbox_inches="tight")
    plt.close(figure)


def draw_names(folder: Path, part: str) -> None:
    """Draw how long each thing took: its median, and its 95th percentile."""
    path = folder / f"{part}_stats.csv"
    if not path.exists():
        return
    with path.open(newline="") as file:
        rows = [row for row in csv.DictReader(file) if row["Name"] != "Aggregated" and row["95%"] != "N/A"]
    rows.sort(key=lambda row: float(row["95%"]))
    if not rows:
        return
    names = [f"{row['Type']} {row['Name']} ({row['Request Count']})" for row in rows]
    figure, axes = plt.subplots(figsize=(INCHES[0], 1 + 0.3 * len(rows)))
    axes.barh(names, [float(row["95%"]) for row in rows], label="95 %")
    axes.barh(names, [float(row["50%"]) for row in rows], label="median")
    axes.set_xscale("log")
    axes.set_xlabel("ms")
    axes.legend()
    figure.savefig(folder / f"{part}-names.svg", bbox_inches="tight")
    plt.close(figure)


def draw_processors(folder: Path) -> None:
    """Draw where the processors' time went in each part."""
    spent = {part: folder / f"{part}.cpu.json" for part in PARTS}
    there = {part: json.loads(path.read_text()) for part, path in spent.items() if path.exists()}
    if not there:
        return
    figure, axes = plt.subplots(1, len(there), figsize=(5 * len(there), 5), squeeze=False)
    for place, (part, told) in zip(axes[0], there.items(), strict=True):
        shares = sorted((used / told["seconds"], name) for name, used in told["spent"].items())
        place.barh([name for _, name in shares], [share * 100 for share, _ in shares])
        place.set_title(part)
        place.set_xlabel("% of a core")
    figure.tight_layout()
    figure.savefig(folder / "processors.svg")
    plt.close(figure)


def main(folder: Path) -> None:
    """Draw everything there is."""
    for part in PARTS:
        draw_times(folder, part)
        draw_names(folder, part)
    draw_processors(folder)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
