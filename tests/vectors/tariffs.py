"""Tariffs, and what they make of counters.

Rounding at exactly a half, all six components, the widest counters.
"""

from typing import Any

from hireling.rental.documents import canonical_json
from hireling.rental.tariff import (
    CounterSpec,
    Rate,
    Tariff,
    amounts,
    lines,
    max_rate_per_hour,
    price,
    tariff_hash,
    worst_case,
)
from hireling.rental.typed_data import to_hex
from tests.builders import a_tariff

ENERGY = CounterSpec(name="energy_mJ", unit="mJ", max_per_second=3_000_000)
TIME = CounterSpec(name="time_ms", unit="ms", max_per_second=1_000)
IDLE = CounterSpec(name="idle_ms", unit="ms", max_per_second=1_000)

HALVES = Tariff(
    currency="tUSD", counters=(TIME,), rates=(Rate(kind="time", counter="time_ms", rate=1, per=2),)
)
THIRDS = Tariff(
    currency="tUSD",
    counters=(ENERGY, TIME),
    rates=(
        Rate(kind="use", counter="energy_mJ", rate=1, per=3),
        Rate(kind="time", counter="time_ms", rate=1, per=6),
    ),
)
SIX = Tariff(
    currency="tUSD",
    counters=(ENERGY, TIME, IDLE),
    flat=1_000,
    rates=(
        Rate(kind="use", counter="energy_mJ", rate=300_000, per=3_600_000_000),
        Rate(kind="time", counter="time_ms", rate=7, per=1_000),
        Rate(kind="idle", counter="idle_ms", rate=40, per=60_000),
    ),
    minimum=2_000,
    maximum=500_000,
)

CASES: tuple[tuple[Tariff, tuple[tuple[int, ...], ...]], ...] = (
    (HALVES, ((0,), (1,), (2,), (3,), (5,), (7,), ((1 << 96) - 1,))),
    (THIRDS, ((0, 0), (1, 1), (1, 3), (2, 1), (1, 2), (4, 1), (10**30, 10**30))),
    (
        SIX,
        (
            (0, 0, 0),
            (1, 1, 1),
            (270_649_420, 504_000, 0),
            (3_600_000_000, 3_600_000, 600_000),
            (10**18, 0, 0),
        ),
    ),
    (a_tariff(), ((0, 0), (270_649_420, 504_000))),
)


def vectors() -> dict[str, Any]:
    """Return the vectors of tariffs."""
    return {"tariffs": [_vector(tariff, cases) for tariff, cases in CASES]}


def _vector(tariff: Tariff, cases: tuple[tuple[int, ...], ...]) -> dict[str, Any]:
    bounds = amounts(tariff, 600, None, 60)
    return {
        "tariff": tariff.model_dump(mode="json"),
        "canonical": canonical_json(tariff).decode(),
        "hash": to_hex(tariff_hash(tariff)),
        "max_rate_per_hour": str(max_rate_per_hour(tariff)),
        "worst_case_of_600_s": str(worst_case(tariff, 600)),
        "block_max_of_60_s": str(bounds["block_max"]),
        "prices": [
            {
                "counters": [str(counter) for counter in counters],
                "price": str(price(tariff, counters)),
                "lines": [line.model_dump(mode="json") for line in lines(tariff, counters)],
            }
            for counters in cases
        ],
    }
