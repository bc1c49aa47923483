"""How many readings one ingest makes durable, and how soon: ``make bench-ingest``, ``ARGS=--help``.

Runs inside ``infra/stack.py run``, on its Mosquitto and PostgreSQL, with the ingest and the load generator in
processes of their own on the same cores. Readings are signed beforehand. Each measurement has an ingest and a
database of its own and throws a warm-up round away; the median of the others counts. Whatever is compared is
measured in this same run. The last line is one JSON object.
"""

import argparse
import json
import os
import statistics
from collections.abc import Callable
from typing import Any

from loadtests.bench.fleet import Cut, Machine, signed_ahead
from loadtests.bench.kills import measure_kills
from loadtests.bench.nodered import measure_nodered
from loadtests.bench.overload import measure_overload
from loadtests.bench.rig import running, say
from loadtests.bench.scaling import measure_registered, measure_two
from loadtests.bench.signatures import signature_limit
from loadtests.bench.sweep import measure_sweep
from loadtests.bench.unit_costs import measure_connections, measure_disk, measure_events

DEVICES = 100
WARM_UP = 40
ROUNDS = 3
PER_ROUND = 200
AT_HALF_LOAD = 200
IN_BATCH = 50
BATCHES_PER_ROUND = 10

Figures = dict[str, Any]


def measure_singles(options: argparse.Namespace) -> Figures:
    """Measure readings that are each signed by themselves, and how late they are at half of that rate."""
    machines = [Machine.make(number) for number in range(DEVICES)]
    per_device = WARM_UP + ROUNDS * PER_ROUND + AT_HALF_LOAD
    say(f"singles: {per_device} readings of each of {DEVICES} devices")
    cut = Cut(signed_ahead(machines, per_device))
    limits, rates = [], []
    with running(machines) as rig:
        rig.play(cut(WARM_UP * DEVICES))
        for _ in range(ROUNDS):
            limits.append(signature_limit())
            rates.append(rig.play(cut(PER_ROUND * DEVICES))["per_second"])
        single, limit = statistics.median(rates), statistics.median(limits)
        half = rig.play(cut(AT_HALF_LOAD * DEVICES), rate=single / 2)
        return {
            "single_readings_per_second": round(single),
            "signature_limit_per_second": round(limit),
            "single_of_signature_limit": round(single / limit, 3),
            "p50_lag_ms_at_half_load": round(half["lag_p50_ms"], 1),
            "p99_lag_ms_at_half_load": round(half["lag_p99_ms"], 1),
            **rig.books(),
        }


def measure_batches(options: argparse.Namespace) -> Figures:
    """Measure signed batches."""
    machines = [Machine.make(number) for number in range(DEVICES)]
    per_device = (1 + ROUNDS) * BATCHES_PER_ROUND * IN_BATCH
    say(f"batches: {per_device} readings of each of {DEVICES} devices, by {IN_BATCH}")
    cut = Cut(signed_ahead(machines, per_device, size=IN_BATCH))
    with running(machines) as rig:
        rig.play(cut(BATCHES_PER_ROUND * DEVICES))
        rates = [rig.play(cut(BATCHES_PER_ROUND * DEVICES))["per_second"] for _ in range(ROUNDS)]
        books = {f"batch_{name}": count for name, count in rig.books().items()}
        return {"batch50_readings_per_second": round(statistics.median(rates)), **books}


PARTS: dict[str, Callable[[argparse.Namespace], Figures]] = {
    "singles": measure_singles,
    "batches": measure_batches,
    "overload": measure_overload,
    "registered": measure_registered,
    "two": measure_two,
    "nodered": measure_nodered,
    "kills": measure_kills,
    "connections": measure_connections,
    "disk": measure_disk,
    "events": measure_events,
    "sweep": measure_sweep,
}
USUAL = [part for part in PARTS if part != "sweep"]


def parsed() -> argparse.Namespace:
    """Return the command's options."""
    parser = argparse.ArgumentParser(
        prog="make bench-ingest ARGS=", description=(__doc__ or "").split("\n")[0]
    )
    parser.add_argument("--only", nargs="+", choices=PARTS, default=USUAL, help="measure these alone")
    parser.add_argument("--overload-seconds", type=float, default=60, help="how long to overload it (60)")
    parser.add_argument("--kills", type=int, default=3, help="how often each server is killed (3)")
    parser.add_argument("--registered", type=int, default=100_000, help="devices registered (100000)")
    return parser.parse_args()


def main() -> None:
    """Measure and print."""
    options = parsed()
    say(f"load average before: {os.getloadavg()[0]:.1f} on {os.cpu_count()} cores")
    figures: Figures = {}
    for part in options.only:
        measured = PARTS[part](options)
        say(f"  {json.dumps(measured)}")
        figures |= measured
    if "single_readings_per_second" in figures and "nodered_readings_per_second" in figures:
        ratio = figures["single_readings_per_second"] / figures["nodered_readings_per_second"]
        figures["nodered_ratio"] = round(ratio, 1)
    say(json.dumps(figures))


if __name__ == "__main__":
    main()
