"""The table of metrics in docs/observability.md, generated from the modules that define them.

``python -m services.embedded.metrics_page`` writes it, ``--check`` fails where it drifted.
"""

import sys
from importlib import import_module
from itertools import groupby

from services.chassis.metrics import DEFINED, Definition
from services.embedded.settings import PROJECT

PAGE = PROJECT / "docs" / "observability.md"
BEGIN, END = "<!-- metrics: generated -->\n", "<!-- end of metrics -->\n"
ROOMS = (
    "chassis.counts",
    "gateway.metrics",
    "listing.metrics",
    "metering.metrics",
    "negotiation.metrics",
    "settlement.metrics",
)


def table() -> str:
    """Return what stands between the two marks."""
    for room in ROOMS:
        import_module(f"services.{room}")
    # Tests define metrics of their own.
    ours = sorted((each for each in DEFINED if _folder(each) in _folders()), key=lambda each: each.name)
    return "\n".join(
        f"**{folder}**\n\n| Metric | Type | Labels | What |\n|---|---|---|---|\n"
        + "".join(_row(each) for each in metrics)
        for folder, metrics in groupby(ours, key=_folder)
    )


def _folders() -> set[str]:
    return {room.partition(".")[0] for room in ROOMS}


def _folder(metric: Definition) -> str:
    return metric.name.split("_")[1]


def _row(metric: Definition) -> str:
    labels = ", ".join(f"`{label}`" for label in metric.labels)
    return f"| `{metric.name}` | {metric.type} | {labels} | {metric.description} |\n"


def with_table(page: str) -> str:
    """Return the page with today's table. Raises ValueError where its marks are missing."""
    before, began, rest = page.partition(BEGIN)
    _, ended, after = rest.partition(END)
    if not began or not ended:
        raise ValueError(f"{PAGE} lacks {BEGIN.strip()} or {END.strip()}")
    return f"{before}{BEGIN}\n{table()}\n{END}{after}"


def main(arguments: list[str]) -> int:
    """Write the table; with --check, compare instead, and return 1 where it drifted."""
    page = PAGE.read_text()
    if arguments == ["--check"]:
        if page == with_table(page):
            return 0
        sys.stderr.write(f"{PAGE} lists other metrics: run python -m services.embedded.metrics_page\n")
        return 1
    PAGE.write_text(with_table(page))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
