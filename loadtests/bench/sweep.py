"""How throughput and lag change with the number of devices and with the size of batches."""

import argparse
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from loadtests.bench.fleet import Cut, Letter, Machine, signed_ahead
from loadtests.bench.rig import running, say

DEVICES = (10, 100, 1_000, 10_000)
SIZES = (1, 5, 20, 50, 100)
DEVICES_AT_SIZES = 100
LETTERS = 10_000
MOST_READINGS = 200_000
WARM_UP_SHARE = 5
REPORT = Path("build/bench/sweep.json")


def measure_sweep(options: argparse.Namespace) -> dict[str, Any]:
    """Measure each number of devices with single readings, and each size of batch with a hundred devices."""
    points = {
        "devices": [point(devices, size=1) for devices in DEVICES],
        "sizes": [point(DEVICES_AT_SIZES, size=size) for size in SIZES],
    }
    REPORT.parent.mkdir(parents=True, exist_ok=True)
    REPORT.write_text(json.dumps(points, indent=1))
    say(f"  written to {REPORT}; `make bench-plot` draws it")
    return {}


def point(devices: int, *, size: int) -> dict[str, float]:
    """Measure one point: as much as is taken, then the lag at half of that."""
    letters_each = max(2, min(LETTERS, MOST_READINGS // size) // devices)
    say(f"sweep: {devices} devices, {size} in a message")
    machines = [Machine.make(number) for number in range(devices)]
    cut = Cut(signed_ahead(machines, 2 * letters_each * size, size=size))
    with running(machines) as rig:
        warm_up = letters_each * devices // WARM_UP_SHARE
        rig.play(cut(warm_up))
        full = rig.play(cut(letters_each * devices - warm_up))
        half = rig.play(thinned(cut(letters_each * devices)), rate=full["per_second"] / size / 2)
        return {
            "devices": devices,
            "size": size,
            "readings_per_second": round(full["per_second"]),
            "lag_p50_ms": round(half["lag_p50_ms"], 1),
            "lag_p99_ms": round(half["lag_p99_ms"], 1),
        }


def thinned(letters: Sequence[Letter]) -> Sequence[Letter]:
    """Return the letters, fewer where they would take long at half speed."""
    return letters[: max(1, len(letters) // 2)]
