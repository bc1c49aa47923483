"""Write the protocol's test vectors, or check with --check that the files are what the code makes.

    python -m tests.vectors.generate [--check]

Everything is fixed: the domain, the keys (which hold no money anywhere), the times. README.md says how to use
the files in another language.
"""

import json
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from tests.vectors import bills, documents, escrow, merkle_trees, rentals, signatures, tariffs, types

HERE = Path(__file__).parent

FILES: Mapping[str, Callable[[], dict[str, Any]]] = {
    "types.json": types.vectors,
    "documents.json": documents.vectors,
    "tariffs.json": tariffs.vectors,
    "signatures.json": signatures.vectors,
    "merkle.json": merkle_trees.vectors,
    "rental.json": rentals.vectors,
    "escrow.json": escrow.vectors,
    "bill.json": bills.vectors,
}


def text_of(name: str) -> str:
    """Return what the named file has to contain."""
    return json.dumps(FILES[name](), indent=1, ensure_ascii=False) + "\n"


def drifted() -> list[str]:
    """Return the names of files that are missing or are not what the code makes."""
    return [
        name for name in FILES if not (HERE / name).exists() or (HERE / name).read_text() != text_of(name)
    ]


def main(arguments: list[str]) -> int:
    """Write or check; return the exit code."""
    if arguments == ["--check"]:
        names = drifted()
        sys.stdout.write(
            f"differ from the code: {', '.join(names)}\n" if names else "vectors match the code\n"
        )
        return 1 if names else 0
    if arguments:
        sys.stderr.write(f"{__doc__}\n")
        return 2
    for name in FILES:
        (HERE / name).write_text(text_of(name))
        sys.stdout.write(f"wrote {HERE / name}\n")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
