"""Write the contracts' storage layout, as the compiler tells it, to docs/storage-layout.md and .json.

With --check nothing is written, and a difference is an error. Compiles nothing but the layout: it takes a few seconds.
"""

import argparse
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

CONTRACTS = Path(__file__).resolve().parent.parent
SOLC = CONTRACTS / "bin/solc"
CANDIDATES = ("RentalEscrow", "DeviceRegistry", "BatchAnchor", "ArbiterPanel", "ArbitrationDesk")
MARKDOWN = CONTRACTS / "docs/storage-layout.md"
DATA = CONTRACTS / "docs/storage-layout.json"
COMPILE_SECONDS = 240


def main(arguments: list[str]) -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--check", action="store_true", help="compare instead of writing")
    options = parser.parse_args(arguments)
    layouts = {name: readable(raw) for name, raw in compiled().items()}
    files = {DATA: json.dumps(layouts, indent=2, sort_keys=True) + "\n", MARKDOWN: markdown(layouts)}
    if options.check:
        stale = [file.name for file, text in files.items() if not file.exists() or file.read_text() != text]
        for name in stale:
            print(f"layout: docs/{name} is not what scripts/layout.py writes: run it", file=sys.stderr)
        return 1 if stale else 0
    for file, text in files.items():
        file.parent.mkdir(exist_ok=True)
        file.write_text(text)
    return 0


def compiled() -> dict[str, dict[str, Any]]:
    """Return storageLayout by contract. No code is made: without it the compiler answers in seconds."""
    names = [name for name in CANDIDATES if (CONTRACTS / f"src/{name}.sol").exists()]
    sources = {f"src/{name}.sol": {"content": (CONTRACTS / f"src/{name}.sol").read_text()} for name in names}
    settings = {
        "outputSelection": {"*": {"*": ["storageLayout"]}},
        "remappings": ["@openzeppelin=node_modules/@openzeppelin"],
    }
    question = json.dumps({"language": "Solidity", "sources": sources, "settings": settings})
    node = CONTRACTS / "node_modules/.node/bin"
    environment = {**os.environ, "PATH": f"{node}:{os.environ['PATH']}"}
    command = [str(SOLC), "--standard-json", "--base-path", str(CONTRACTS)]
    answer = subprocess.run(
        command,
        input=question,
        capture_output=True,
        text=True,
        check=True,
        timeout=COMPILE_SECONDS,
        env=environment,
    )
    output = json.loads(answer.stdout)
    errors = [each["formattedMessage"] for each in output.get("errors", []) if each["severity"] == "error"]
    if errors:
        raise RuntimeError("\n".join(errors))
    return {name: output["contracts"][f"src/{name}.sol"][name]["storageLayout"] for name in names}


def readable(raw: dict[str, Any]) -> dict[str, Any]:
    """Return variables and structs with their types' names; the compiler's own names carry numbers that any edit changes."""
    types = raw["types"] or {}

    def shown(entry: dict[str, Any]) -> dict[str, Any]:
        kind = types[entry["type"]]
        return {
            "label": entry["label"],
            "slot": int(entry["slot"]),
            "offset": entry["offset"],
            "bytes": int(kind["numberOfBytes"]),
            "type": kind["label"],
        }

    structs = {
        kind["label"].removeprefix("struct ").split(".")[-1]: {
            "bytes": int(kind["numberOfBytes"]),
            "members": [shown(member) for member in kind["members"]],
        }
        for kind in types.values()
        if kind["label"].startswith("struct ") and "members" in kind
    }
    return {"variables": [shown(entry) for entry in raw["storage"]], "structs": structs}


def markdown(layouts: dict[str, dict[str, Any]]) -> str:
    parts = ["# Storage layout\n\nWritten by `scripts/layout.py` from the compiler's output.\n"]
    for name, layout in layouts.items():
        parts.append(f"\n## {name}\n\n" + rows(layout["variables"]))
        for struct, shape in sorted(layout["structs"].items()):
            parts.append(f"\n`{struct}`, {shape['bytes']} bytes:\n\n" + rows(shape["members"]))
    return "".join(parts)


def rows(entries: list[dict[str, Any]]) -> str:
    head = "| slot | offset | bytes | name | type |\n|--:|--:|--:|---|---|\n"
    return head + "".join(
        f"| {each['slot']} | {each['offset']} | {each['bytes']} | `{each['label']}` | `{each['type']}` |\n"
        for each in entries
    )


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
