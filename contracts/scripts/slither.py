"""Hold slither's findings against the exceptions that proofs/slither_exceptions.json gives reasons for: slither.py REPORT_JSON

A finding without a reason is an error; so is a reason whose finding is gone.
"""

import json
import sys
from pathlib import Path
from typing import Any

EXCEPTIONS = Path(__file__).resolve().parent.parent / "proofs" / "slither_exceptions.json"
Finding = tuple[str, str]


def main(report: Path) -> int:
    document = json.loads(report.read_text())
    if not document["success"]:
        print(f"slither: {document['error']}", file=sys.stderr)
        return 1
    detectors = document["results"].get("detectors", [])
    exceptions = json.loads(EXCEPTIONS.read_text())
    everywhere, excepted = exceptions["detectors"], exceptions["findings"]
    allowed = {(entry["detector"], entry["where"]) for entry in excepted}
    found = {place(finding): finding for finding in detectors if finding["check"] not in everywhere}
    unexplained = [finding for at, finding in found.items() if at not in allowed]
    for finding in unexplained:
        print(f"slither: {finding['check']}: {finding['description']}", file=sys.stderr)
    gone = sorted(allowed - found.keys())
    gone += sorted((name, "everywhere") for name in everywhere.keys() - {each["check"] for each in detectors})
    for detector, where in gone:
        print(f"slither: no {detector} in {where} any more: take its exception away", file=sys.stderr)
    print(f"{len(unexplained)} findings without a reason, {len(detectors)} with")
    return 1 if unexplained or gone else 0


def place(finding: dict[str, Any]) -> Finding:
    """Return a detector and the function it speaks of, which a moved line leaves as they are."""
    element = finding["elements"][0]
    function = element
    while function["type"] not in {"function", "contract"}:
        function = function["type_specific_fields"]["parent"]
    name = function["name"]
    if function["type"] == "function":
        name = f"{function['type_specific_fields']['parent']['name']}.{name}"
    return finding["check"], name


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1])))
