"""``make faults``: rent all the time while one thing after the other goes wrong, and check the books.

Prints a row a fault, and one JSON object last: money_drift (base units), lost_readings and stuck_rentals of
each. Exit code 1 where anything is not as it must be.
"""

import argparse
import json
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

from rich.console import Console
from rich.table import Table

from tests.e2e.faults.books import Books, Finding
from tests.e2e.faults.faults import Fault, every_fault, strike_each
from tests.e2e.faults.scene import opened

KINDS = tuple(dict.fromkeys(fault.kind for fault in every_fault()))


def main() -> int:
    """Run the faults that were asked for."""
    parser = argparse.ArgumentParser(prog="make faults", description=__doc__)
    parser.add_argument("--only", action="append", help=f"kinds of faults: {', '.join(KINDS)}")
    parser.add_argument("--of", action="append", help="what they happen to: a service, a server, agents")
    parser.add_argument("--together", type=int, default=1, help="judge after so many faults, not after each")
    parser.add_argument("--keep", type=Path, help="folder for logs; default: one that is deleted")
    chosen = parser.parse_args()
    faults = [
        fault
        for fault in every_fault()
        if (not chosen.only or fault.kind in chosen.only) and (not chosen.of or fault.of in chosen.of)
    ]
    if not faults:
        parser.error("no such fault")
    console = Console()
    with tempfile.TemporaryDirectory() as temporary:
        found = _run(faults, folder=chosen.keep or Path(temporary), together=chosen.together, console=console)
    table = Table("fault", "rentals", "money drift", "lost readings", "stuck rentals", "else")
    for name, each in found.items():
        table.add_row(
            name, str(each.rentals), str(each.money_drift), str(each.lost_readings), str(each.stuck_rentals),
            str(len(each.notes)),
        )  # fmt: skip
    console.print(table)
    figures = {
        name: {
            "money_drift": each.money_drift,
            "lost_readings": each.lost_readings,
            "stuck_rentals": each.stuck_rentals,
        }
        for name, each in found.items()
    }
    is_clean = all(each.is_clean for each in found.values())
    console.print(json.dumps({"clean": is_clean, "faults": figures}), soft_wrap=True, highlight=False)
    return 0 if is_clean else 1


def _run(faults: Sequence[Fault], *, folder: Path, together: int, console: Console) -> dict[str, Finding]:
    found: dict[str, Finding] = {}
    with opened(folder) as scene:
        books = Books(scene)
        books.open()
        for start in range(0, len(faults), together):
            some = faults[start : start + together]
            began = time.monotonic()
            strike_each(scene, some)
            finding = books.judge()
            name = ", ".join(fault.name for fault in some)
            found[name] = finding
            took = time.monotonic() - began
            console.print(f"{name}: {finding.rentals} rentals, {took:.0f} s", highlight=False)
            for note in finding.notes:
                console.print(f"  {note}", style="red", markup=False, highlight=False)
        if left := books.judge_the_unfunded():
            found["never paid"] = Finding(len(books.unfunded), 0, 0, len(left), tuple(left))
    return found


if __name__ == "__main__":
    sys.exit(main())
