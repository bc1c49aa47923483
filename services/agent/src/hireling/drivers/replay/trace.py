"""A recorded trace of power, read exactly: decimals become fractions, never floats."""

import csv
import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from fractions import Fraction
from itertools import pairwise
from pathlib import Path

from hireling.drivers.driver import BadInput

DECIMAL = re.compile(r"[+-]?(\d+(\.\d*)?|\.\d+)([eE][+-]?\d{1,3})?")
TIME_COLUMN = re.compile(r"time|date", re.IGNORECASE)
MILLIJOULES_PER_JOULE = 1000


@dataclass(frozen=True)
class Row:
    """One row: the energy that flows while it is held, in millijoules, and its seconds of the trace."""

    energy_mj: Fraction
    seconds: Fraction


def read_trace(path: Path, *, column: str, interval: Fraction | None) -> tuple[Row, ...]:
    """Return the trace's rows, each held until the next row's time, or for interval seconds where given.

    Without an interval, the first column whose name speaks of a time or date gives the times (ISO 8601 or
    seconds), and the last row is held for 1 s; a trace without such a column holds every row for 1 s. Raises
    BadInput naming the column or row at fault.
    """
    names, table = _read_table(path)
    if column not in names:
        raise BadInput(f"{path} has no column {column!r}; its columns are: {', '.join(map(repr, names))}")
    powers = [_power(line[names.index(column)], path, number) for number, line in table]
    held = _holds(path, names, table, interval)
    return tuple(
        Row(energy_mj=power * seconds * MILLIJOULES_PER_JOULE, seconds=seconds)
        for power, seconds in zip(powers, held, strict=True)
    )


def _read_table(path: Path) -> tuple[list[str], list[tuple[int, list[str]]]]:
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            reader = csv.reader(file)
            names = [name.strip() for name in next(reader, [])]
            table = [(reader.line_num, line) for line in reader if any(cell.strip() for cell in line)]
    except FileNotFoundError as error:
        raise BadInput(f"there is no file {path}") from error
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise BadInput(f"{path} cannot be read as CSV: {error}") from error
    if not names or not table:
        raise BadInput(f"{path} is empty: a trace needs a line of column names and at least one row")
    for number, line in table:
        if len(line) != len(names):
            raise BadInput(f"{path} row {number}: {len(line)} cells where the first line names {len(names)}")
    return names, table


def _power(cell: str, path: Path, number: int) -> Fraction:
    if not DECIMAL.fullmatch(cell.strip()):
        raise BadInput(f"{path} row {number}: {cell!r} is not a number")
    power = Fraction(cell.strip())
    if power < 0:
        raise BadInput(f"{path} row {number}: {cell.strip()} W is negative, and a counter never falls")
    return power


def _holds(
    path: Path, names: Sequence[str], table: Sequence[tuple[int, list[str]]], interval: Fraction | None
) -> list[Fraction]:
    column = next((i for i, name in enumerate(names) if TIME_COLUMN.search(name)), None)
    if interval is not None or column is None:
        return [interval or Fraction(1)] * len(table)
    times = [_moment(line[column], path, number) for number, line in table]
    gaps = [later - earlier for earlier, later in pairwise(times)]
    for gap, (number, _) in zip(gaps, table[1:], strict=True):
        if gap <= 0:
            raise BadInput(
                f"{path} row {number}: its time is not after the row before; --interval ignores the times"
            )
    return [*gaps, Fraction(1)]


def _moment(cell: str, path: Path, number: int) -> Fraction:
    text = cell.strip()
    if DECIMAL.fullmatch(text):
        return Fraction(text)
    try:
        moment = datetime.fromisoformat(text)
    except ValueError as error:
        raise BadInput(
            f"{path} row {number}: {cell!r} is not a time; --interval ignores the times"
        ) from error
    since = moment - datetime(1970, 1, 1, tzinfo=moment.tzinfo)
    return Fraction(since.days * 86_400 + since.seconds) + Fraction(since.microseconds, 1_000_000)
