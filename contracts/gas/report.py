"""What was measured against what it may cost, as a table and as files."""

import json
from dataclasses import dataclass
from pathlib import Path

# The least each action can cost (a lower bound), what it must reach, and what is aimed for: total gas of a transaction.
TARGETS: dict[str, tuple[int | None, int, int | None]] = {
    "open": (65_600, 76_000, 71_000),
    "open_permit": (79_400, 91_000, 86_000),
    "open_relayed": (None, 98_000, 93_000),
    "open_internal": (57_700, 62_000, 58_000),
    "settle_push": (55_100, 64_000, 58_500),
    "settle_credit": (45_000, 54_000, 48_500),
    "settle_p256": (None, 88_000, 81_000),
    "batch_10": (20_500, 24_500, 22_000),
    "batch_100": (18_000, 22_000, 19_500),
    "close": (65_100, 77_000, 71_000),
    "exit": (None, 38_000, 34_500),
    "reclaim": (None, 55_000, 51_500),
    "dispute": (None, 43_000, 40_000),
    "ruling": (None, 52_000, 46_000),
    "anchor_event": (23_500, 24_000, None),
    "anchor_stored": (45_600, 46_000, None),
}


@dataclass(frozen=True)
class Measured:
    """Gas and calldata bytes of one rental's action: of a batch, its part."""

    gas: int
    calldata_bytes: int


def table(measured: dict[str, Measured], variants: dict[str, Measured], budgets: dict[str, int]) -> str:
    """Return a line for each action; a mark says whether what must be reached, and what is aimed for, is met."""
    head = ("action", "gas", "budget", "floor", "must reach", "aim", "", "calldata bytes")
    rows = [head]
    for key, each in measured.items():
        floor, must, aim = TARGETS[key]
        cells = (number(budgets.get(key)), number(floor), number(must), number(aim))
        rows.append((key, number(each.gas), *cells, verdict(each.gas, must, aim), str(each.calldata_bytes)))
    for name, each in variants.items():
        rows.append((f"({name})", number(each.gas), "", "", "", "", "", str(each.calldata_bytes)))
    widths = [max(len(row[column]) for row in rows) for column in range(len(head))]
    return "\n".join(
        "  ".join(
            cell.ljust(width) if index in (0, 6) else cell.rjust(width)
            for index, (cell, width) in enumerate(zip(row, widths, strict=True))
        )
        for row in rows
    )


def number(value: int | None) -> str:
    return "-" if value is None else f"{value:,}"


def verdict(gas: int, must: int, aim: int | None) -> str:
    if gas > must:
        return f"MISSES by {gas - must:,}"
    if aim is not None and gas > aim:
        return f"reached, {gas - aim:,} above aim"
    return "aim met" if aim is not None else "reached"


def exceeded(measured: dict[str, Measured], budgets: dict[str, int]) -> list[str]:
    """Return a line for each budget that is exceeded or missing, and for each that names nothing measured."""
    lines = []
    for key, each in measured.items():
        if key not in budgets:
            lines.append(f"{key}: no budget, measured {each.gas:,}")
        elif each.gas > budgets[key]:
            lines.append(
                f"{key}: budget {budgets[key]:,}, measured {each.gas:,} (+{each.gas - budgets[key]:,})"
            )
    return lines + [f"{key}: has a budget, but is not measured" for key in budgets if key not in measured]


def as_json(measured: dict[str, Measured]) -> str:
    return json.dumps({key: each.gas for key, each in sorted(measured.items())})


def write(path: Path, measured: dict[str, Measured]) -> None:
    """Write gas by action, sorted."""
    gas = {key: each.gas for key, each in measured.items()}
    path.write_text(json.dumps(gas, indent=2, sort_keys=True) + "\n")
