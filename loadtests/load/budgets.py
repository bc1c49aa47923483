"""What a run may take at most, or must reach at least: `budgets.toml`."""

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

FILE = Path(__file__).with_name("budgets.toml")


@dataclass(frozen=True)
class Line:
    """One figure beside its budget."""

    name: str
    measured: float
    budget: str
    holds: bool


def judged(figures: Mapping[str, float], *, budgets: str, file: Path = FILE) -> list[Line]:
    """Return every figure that has a budget of this name; one that was not measured has none.

    Raises KeyError for budgets that are not in the file.
    """
    wanted = tomllib.loads(file.read_text())[budgets]
    most, least = wanted.get("at_most", {}), wanted.get("at_least", {})
    return [
        *(
            Line(name, figures[name], f"at most {budget:g}", figures[name] <= budget)
            for name, budget in most.items()
            if name in figures
        ),
        *(
            Line(name, figures[name], f"at least {budget:g}", figures[name] >= budget)
            for name, budget in least.items()
            if name in figures
        ),
    ]
