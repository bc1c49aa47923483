"""When renters come: as real ones came, by a CSV of arrivals, or by a day of our own making."""

import csv
import math
from collections.abc import Sequence
from datetime import datetime
from pathlib import Path

DAY_MINUTES = 24 * 60
# Our own day: people come in the morning and again in the evening; (hour, its spread, its share).
PEAKS = ((8.5, 1.2, 0.5), (17.5, 2.0, 0.4))
ALWAYS = 0.1  # the share that comes at any hour


def arrivals(file: Path | None, count: int, *, seconds: float) -> list[float]:
    """Return when each of ``count`` renters comes, in seconds, ascending, within ``seconds``.

    The arrivals of one day, all days of the file laid over each other, in the proportions in which they came.
    Raises ValueError for a file without arrivals.
    """
    day = _own_day() if file is None else _day_of(file)
    first, last = day[0], day[-1]
    scale = seconds / (last - first) if last > first else 0.0
    return [(_quantile(day, (number + 0.5) / count) - first) * scale for number in range(count)]


def _day_of(path: Path) -> list[float]:
    with path.open(newline="") as file:
        reader = csv.DictReader(file)
        column = next((name for name in reader.fieldnames or [] if "arrival" in name.lower()), None)
        if column is None:
            raise ValueError(f"{path} has no column of arrivals; its columns are: {reader.fieldnames}")
        minutes = sorted(_minute(row[column]) % DAY_MINUTES for row in reader if row[column])
    if not minutes:
        raise ValueError(f"{path} has no arrivals")
    return minutes


def _minute(cell: str) -> float:
    """Return a moment in minutes: a number of them, or a time by ISO 8601."""
    try:
        return float(cell)
    except ValueError:
        moment = datetime.fromisoformat(cell)
        return moment.hour * 60 + moment.minute + moment.second / 60


def _own_day() -> list[float]:
    weights = [_weight(minute / 60) for minute in range(DAY_MINUTES)]
    whole, reached = sum(weights), 0.0
    day: list[float] = []
    for minute, weight in enumerate(weights):
        reached += weight
        day.extend([float(minute)] * (round(reached / whole * DAY_MINUTES) - len(day)))
    return day


def _weight(hour: float) -> float:
    bells = (
        share / spread * math.exp(-((hour - at) ** 2) / (2 * spread * spread)) / math.sqrt(2 * math.pi)
        for at, spread, share in PEAKS
    )
    return ALWAYS / 24 + sum(bells)


def _quantile(ascending: Sequence[float], share: float) -> float:
    """Return the value below which this share lies, between neighbours in proportion."""
    place = share * (len(ascending) - 1)
    low = math.floor(place)
    high = min(low + 1, len(ascending) - 1)
    return ascending[low] + (ascending[high] - ascending[low]) * (place - low)
