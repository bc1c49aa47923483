"""The compiler, asked for syntax trees and for code."""

import json
import subprocess
from itertools import count
from pathlib import Path
from typing import Any

from instrumenting import LIBRARY_FILE, LIBRARY_SOURCE, Source
from points import Point

CONTRACTS = Path(__file__).resolve().parent.parent
SOLC = CONTRACTS / "bin/solc"
COMPILE_SECONDS = 300


def instrumented(texts: dict[str, bytes]) -> tuple[dict[str, str], list[Point]]:
    """Return sources with marks, the marks' own library among them, and the points that they mark.

    `texts` are sources by path, all below one folder that the paths begin with.
    """
    trees = compiled(
        {path: text.decode() for path, text in texts.items()}, {"*": {"": ["ast"]}}, stopAfter="parsing"
    )["sources"]
    groups = count(1)
    sources = {path: Source(path, texts[path], trees[path]["ast"], groups) for path in sorted(texts)}
    marked = {path: source.marked for path, source in sources.items()}
    folder = next(iter(texts)).split("/")[0]
    marked[f"{folder}/{LIBRARY_FILE}"] = LIBRARY_SOURCE
    return marked, [point for source in sources.values() for point in source.points]


def compiled(texts: dict[str, str], wanted: dict[str, Any], **settings: Any) -> dict[str, Any]:
    """Return the compiler's whole answer; an error of the compiler is an error."""
    request = {
        "language": "Solidity",
        "sources": {path: {"content": text} for path, text in texts.items()},
        "settings": {**settings, "outputSelection": wanted},
    }
    asked = json.dumps(request)
    run = subprocess.run(
        [SOLC, "--standard-json"],
        input=asked,
        capture_output=True,
        text=True,
        check=True,
        timeout=COMPILE_SECONDS,
    )
    answer: dict[str, Any] = json.loads(run.stdout)
    errors = [each["formattedMessage"] for each in answer.get("errors", []) if each["severity"] == "error"]
    if errors:
        raise RuntimeError("\n".join(errors))
    return answer
