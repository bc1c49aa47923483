"""Measure the gas of every action on a chain of its own, and compare it with the committed budgets.

Writes gas.json. The last line printed is one JSON object: the gas of each action (of a batch: of each rental in it).
"""

import argparse
import json
import math
import sys
from pathlib import Path

CONTRACTS = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(CONTRACTS / "tests"))

from actions import ACTIONS, ROWS, VARIANTS, Action  # noqa: E402  the path comes first
from chain import running_chain  # noqa: E402
from profiling import profile  # noqa: E402
from report import Measured, as_json, exceeded, number, table, write  # noqa: E402
from scene import Scene, furnished  # noqa: E402

BUDGETS = CONTRACTS / "gas/budgets.json"
OUTCOME = CONTRACTS / "gas.json"
CODE_LIMIT = 24_576


def main(arguments: list[str]) -> int:
    parser = argparse.ArgumentParser(prog="gas.sh", description=__doc__)
    parser.add_argument(
        "--only", metavar="ACTION", nargs="+", choices=ACTIONS, help="measure these, compare nothing"
    )
    parser.add_argument("--profile", action="store_true", help="also tell where the gas of each goes")
    parser.add_argument("--accept", action="store_true", help="make what is measured the budgets")
    options = parser.parse_args(arguments)
    names = options.only or list(ACTIONS)
    with running_chain(keeps_steps=options.profile) as chain:
        scene = furnished(chain)
        measured = {
            name: measure(scene, ACTIONS[name], ROWS.get(name, 1), name if options.profile else None)
            for name in names
        }
        variants = (
            {} if options.only else {name: measure(scene, each, 1, None) for name, each in VARIANTS.items()}
        )
        sizes = {name: contract.code_bytes for name, contract in scene.contracts.items()}
    if options.accept:
        write(BUDGETS, measured)
    budgets = json.loads(BUDGETS.read_text())
    print(table(measured, variants, budgets))
    print(
        "\ncode bytes: "
        + ", ".join(f"{name} {number(size)} of {CODE_LIMIT:,}" for name, size in sizes.items())
    )
    print("signatures: " + ("64 bytes (EIP-2098)" if scene.compact else "65 bytes"))
    problems = [] if options.only else exceeded(measured, budgets)
    if not options.only:
        write(OUTCOME, measured)
    if problems:
        print("\nover budget (contracts/scripts/gas.sh --accept makes these the budgets):")
        print("\n".join(f"  {line}" for line in problems))
    print(as_json(measured))
    return 1 if problems else 0


def measure(scene: Scene, action: Action, rows: int, profiled: str | None) -> Measured:
    with scene.set_aside():
        sent = action(scene)
        if profiled:
            print(f"\n{profiled}: {sent.gas:,}\n{profile(scene, sent)}\n")
    return Measured(gas=math.ceil(sent.gas / rows), calldata_bytes=math.ceil(len(sent.calldata) / rows))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
