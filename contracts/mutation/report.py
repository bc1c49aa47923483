"""What a run found: a table, each survivor with its difference, and the figure."""

import json
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

from syntax import Mutant, Source
from verdict import Outcome

LEAST_SHARE = 0.9
SURVIVORS = "survivors.json"
# These say nothing of the tests: there was nothing to notice.
APART = (Outcome.SAME_CODE, Outcome.REVIEWED, Outcome.NOT_COMPILED)


@dataclass(frozen=True)
class Tried:
    source: Source
    mutant: Mutant
    outcome: Outcome
    # The test that failed, or why there was no run.
    by: str = ""

    @property
    def place(self) -> str:
        return f"contracts/{self.mutant.path}:{self.source.line(self.mutant.start)}"

    @property
    def difference(self) -> str:
        before, after = self.mutant.lines(self.source.text)
        return "\n".join(
            [*(f"-{line}" for line in before.split("\n")), *(f"+{line}" for line in after.split("\n"))]
        )


def share(tried: list[Tried]) -> tuple[int, int]:
    """Return how many were killed, and of how many. What timed out or could not be tried was not killed."""
    counted = [each for each in tried if each.outcome not in APART]
    return sum(each.outcome is Outcome.KILLED for each in counted), len(counted)


def is_enough(tried: list[Tried]) -> bool:
    killed, counted = share(tried)
    return counted > 0 and killed >= LEAST_SHARE * counted


def text(tried: list[Tried], sample: str, seed: int) -> str:
    killed, counted = share(tried)
    figure = f"{100 * killed / counted:.1f} %" if counted else "none"
    last = (
        f"killed: {figure} ({killed} of {counted}; at least {LEAST_SHARE:.0%}; SAMPLE={sample} SEED={seed})"
    )
    alive = [each for each in tried if each.outcome not in (*APART, Outcome.KILLED)]
    details = [
        f"{each.place} {each.outcome}, {each.mutant.operator} {each.by}\n{each.difference}\n"
        for each in alive
    ]
    return "\n".join([_table(tried), "", *details, last])


def _table(tried: list[Tried]) -> str:
    count = Counter((Path(each.mutant.path).stem, each.outcome) for each in tried)
    names = sorted({name for name, _ in count})
    rows = [["", *(str(outcome) for outcome in Outcome)]]
    rows += [[name, *(str(count[name, outcome]) for outcome in Outcome)] for name in names]
    rows.append(["all", *(str(sum(count[name, outcome] for name in names)) for outcome in Outcome)])
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return "\n".join(
        "  ".join(cell.rjust(width) for cell, width in zip(row, widths, strict=True)) for row in rows
    )


def write(tried: list[Tried], folder: Path, said: str) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "report.txt").write_text(said + "\n")
    alive = [each for each in tried if each.outcome not in (*APART, Outcome.KILLED)]
    survivors = [described(each.source, each.mutant) for each in alive]
    (folder / SURVIVORS).write_text(json.dumps(survivors, indent=1) + "\n")


def described(source: Source, mutant: Mutant) -> dict[str, str]:
    """Return a mutant as equivalents.toml names it: by its text."""
    before, after = mutant.lines(source.text)
    file = mutant.path.removeprefix("src/")
    return {"file": file, "within": mutant.within, "before": before, "after": after}
