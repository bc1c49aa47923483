"""Many devices instead of few, and two ingests instead of one."""

import argparse
import statistics
from typing import Any

from loadtests.bench.fleet import Cut, Machine, signed_ahead
from loadtests.bench.processes import family, slowed
from loadtests.bench.rig import Rig, running, say

DEVICES = 100
WARM_UP = 20
ROUNDS = 3
PER_ROUND = 100
SPREAD = 20_000
SHARE = 0.2
# Two ingests wait for each other where they hold the same rental: with a hundred devices nearly always.
DEVICES_OF_TWO = 2_000
PER_ROUND_OF_TWO = 5


def measure_registered(options: argparse.Namespace) -> dict[str, Any]:
    """Measure the same load with 100 devices registered and with very many, and with it spread over many."""
    count: int = options.registered
    say(f"registered: {count} devices")
    machines = [Machine.make(number) for number in range(count)]
    few, spread = machines[:DEVICES], machines[DEVICES : DEVICES + min(SPREAD, count - DEVICES)]
    letters = signed_ahead(few, WARM_UP + ROUNDS * PER_ROUND)
    spread_letters = signed_ahead(spread, 1)
    rates, spread_rate = {}, 0.0
    for registered in (few, machines):
        cut = Cut(letters)
        with running(registered) as rig:
            rig.play(cut(WARM_UP * DEVICES))
            rates[len(registered)] = median_rate(rig, cut, PER_ROUND * DEVICES)
            if registered is machines:
                spread_rate = rig.play(spread_letters)["per_second"]
    return {
        "registered": count,
        "registered_ratio": round(rates[count] / rates[DEVICES], 2),
        "spread_ratio": round(spread_rate / rates[DEVICES], 2),
    }


def measure_two(options: argparse.Namespace) -> dict[str, Any]:
    """Measure two ingests against one, each held to a share of its time: nothing else is the limit."""
    say(f"two: each ingest runs {SHARE:.0%} of the time")
    machines = [Machine.make(number) for number in range(DEVICES_OF_TWO)]
    letters = signed_ahead(machines, (1 + ROUNDS) * PER_ROUND_OF_TWO)
    round_of = PER_ROUND_OF_TWO * DEVICES_OF_TWO
    rates = []
    for ingests in (1, 2):
        cut = Cut(letters)
        with running(machines, ingests=ingests) as rig:
            rig.play(cut(round_of))
            groups = [family(ingest.pid) for ingest in rig.ingests]
            with slowed(groups, share=SHARE):
                rates.append(median_rate(rig, cut, round_of))
    return {"two_ingests_ratio": round(rates[1] / rates[0], 2)}


def median_rate(rig: Rig, cut: Cut, letters: int) -> float:
    """Return the middle of some rounds, in readings a second."""
    rates: list[float] = [rig.play(cut(letters))["per_second"] for _ in range(ROUNDS)]
    return statistics.median(rates)
