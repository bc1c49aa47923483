"""Where a rental's time goes: median and 95th percentile of every step on its way.

    python -m loadtests.load.legs [build/load/rentals.legs.json]

`Journal` notes when each side's agent said something of a rental; settlement's log adds what became of the
transactions. A leg is the time from one of these moments to the next of `WAY`; what came in another order
counts as nothing. Everything is told on one machine, by one clock.
"""

import json
import math
import sys
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import pairwise
from pathlib import Path

# In the order of a rental: who said it, and what.
WAY = (
    "renter found", "renter quote", "renter accepted", "renter agreed",
    "chain signed open", "chain mined open", "chain confirmed open",
    "machine funded_seen", "renter funded", "renter broker_connected", "machine unlocked", "renter unlocked",
    "machine ended", "renter ended", "machine acked", "renter close_signed", "machine close_signed",
    "chain signed close", "chain mined close", "chain confirmed close",
    "chain bill_issued", "machine bill_countersigned", "renter bill",
)  # fmt: skip
WHOLE = (
    ("renter found", "renter agreed"),
    ("renter agreed", "renter funded"),
    ("renter found", "renter funded"),
    ("renter found", "renter unlocked"),
    ("renter unlocked", "renter ended"),
    ("renter ended", "renter bill"),
    ("renter found", "renter bill"),
)
SETTLEMENT = {"transaction_signed": "signed", "transaction_seen": ""}

Moments = Mapping[str, float]


class Journal:
    """Notes in a file, a line each, when what was first said of a rental."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def note(self, rental_id: str, moments: Moments) -> None:
        """Note what was said of one rental, in Unix seconds."""
        with self._path.open("a") as file:
            file.write(json.dumps({"rental_id": rental_id, "moments": moments}) + "\n")


@dataclass(frozen=True)
class Leg:
    """How long one step took, in milliseconds, over this many rentals."""

    start: str
    end: str
    count: int
    median_ms: float
    p95_ms: float


def read_journal(path: Path) -> dict[str, dict[str, float]]:
    """Return each rental's moments."""
    rentals: dict[str, dict[str, float]] = {}
    for line in path.read_text().splitlines() if path.exists() else ():
        entry = json.loads(line)
        rentals.setdefault(entry["rental_id"], {}).update(entry["moments"])
    return rentals


def add_settlement(rentals: Mapping[str, dict[str, float]], log: Path) -> None:
    """Add what settlement's log, in JSON, says of these rentals' transactions and bills."""
    for line in log.read_text().splitlines() if log.exists() else ():
        if not line.startswith("{"):
            continue
        entry = json.loads(line)
        moments = rentals.get(str(entry.get("rental_id")))
        if moments is None or "timestamp" not in entry:
            continue
        at = datetime.fromisoformat(entry["timestamp"]).timestamp()
        if entry["event"] == "bill_issued":
            moments.setdefault("chain bill_issued", at)
        elif entry["event"] in SETTLEMENT:
            what = SETTLEMENT[entry["event"]] or entry["status"]
            moments.setdefault(f"chain {what} {entry['kind']}", at)


def legs(rentals: Iterable[Moments], *, since: float) -> list[Leg]:
    """Return every step of the way, then longer stretches, of rentals that began at ``since`` or later."""
    begun = [moments for moments in rentals if moments.get("renter found", -math.inf) >= since]
    steps = [_leg(begun, *pair) for pair in [*pairwise(WAY), *WHOLE]]
    return [step for step in steps if step.count]


def _leg(rentals: Sequence[Moments], start: str, end: str) -> Leg:
    took = sorted(
        max(0.0, moments[end] - moments[start]) * 1000
        for moments in rentals
        if start in moments and end in moments
    )
    middle = took[len(took) // 2] if took else 0.0
    late = took[math.ceil(len(took) * 0.95) - 1] if took else 0.0
    return Leg(start, end, len(took), middle, late)


def table(found: Sequence[Leg]) -> str:
    """Return legs as lines of text."""
    lines = [f"{'from':28} {'to':28} {'rentals':>7} {'median':>7} {'p95':>7} ms"]
    lines += [
        f"{leg.start:28} {leg.end:28} {leg.count:7} {leg.median_ms:7.0f} {leg.p95_ms:7.0f}" for leg in found
    ]
    return "\n".join(lines)


def now() -> float:
    """Return when something is said."""
    return time.time()


if __name__ == "__main__":
    told = json.loads(Path(sys.argv[1] if len(sys.argv) > 1 else "build/load/rentals.legs.json").read_text())
    print(table([Leg(**leg) for leg in told]))
