"""Record a power trace of this computer: ``python -m hireling.drivers.record OUT.csv --seconds 90``.

Where the processor counts its own energy (Linux powercap, "RAPL"), that is what is recorded. Elsewhere, in
most virtual machines, the load is measured and turned into watts by a stated model: ``idle + busy_cores *
per_core``. The column ``source`` says which.
"""

import argparse
import itertools
import os
import sys
import time
from collections.abc import Callable, Iterator
from fractions import Fraction
from pathlib import Path

RAPL = Path("/sys/class/powercap/intel-rapl:0/energy_uj")
RAPL_RANGE = RAPL.with_name("max_energy_range_uj")
# A small fanless computer: 6 W when idle, 7 W more for every busy core. A model, not a measurement.
IDLE_WATTS = Fraction(6)
WATTS_PER_CORE = Fraction(7)
IDLE_FIELDS = (3, 4)  # /proc/stat: idle and iowait
HEADER = "seconds,power_W,source\n"

Meter = Callable[[Fraction], Fraction]


def rapl_meter() -> Meter:
    """Return a function that gives the processor's mean power in watts since its last call.

    It reads the processor's own energy counter.
    """
    wraps_at = int(RAPL_RANGE.read_text())
    state = {"uj": int(RAPL.read_text())}

    def watts(seconds: Fraction) -> Fraction:
        before, state["uj"] = state["uj"], int(RAPL.read_text())
        return Fraction((state["uj"] - before) % wraps_at, 1_000_000) / seconds

    return watts


def load_meter(stat: Path = Path("/proc/stat")) -> Meter:
    """Return a function that gives the modelled power in watts since its last call.

    It follows from the processor's busy time.
    """
    state = {"busy": _busy_ticks(stat)}
    ticks_per_second = os.sysconf("SC_CLK_TCK")

    def watts(seconds: Fraction) -> Fraction:
        before, state["busy"] = state["busy"], _busy_ticks(stat)
        busy_cores = Fraction(state["busy"] - before, ticks_per_second) / seconds
        return IDLE_WATTS + busy_cores * WATTS_PER_CORE

    return watts


def _busy_ticks(stat: Path) -> int:
    ticks = [int(field) for field in stat.read_text().splitlines()[0].split()[1:9]]
    return sum(ticks) - sum(ticks[field] for field in IDLE_FIELDS)


def record(seconds: int) -> Iterator[str]:
    """Return the trace's lines, one a second, as they are measured."""
    has_rapl = os.access(RAPL, os.R_OK)
    source, watts = ("rapl", rapl_meter()) if has_rapl else ("load_model", load_meter())
    yield HEADER
    before = time.monotonic_ns()
    for second in itertools.islice(itertools.count(), seconds):
        time.sleep(1)
        now = time.monotonic_ns()
        milliwatts = round(watts(Fraction(now - before, 1_000_000_000)) * 1000)
        before = now
        yield f"{second},{milliwatts // 1000}.{milliwatts % 1000:03d},{source}\n"


def main() -> None:
    """Record a trace to a file."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("out", type=Path, help="the CSV file to write")
    parser.add_argument("--seconds", type=int, default=90, help="how long to record (default: 90)")
    wanted = parser.parse_args()
    with wanted.out.open("w", encoding="utf-8") as file:
        for line in record(wanted.seconds):
            file.write(line)
            file.flush()
            sys.stderr.write(line)


if __name__ == "__main__":
    main()
