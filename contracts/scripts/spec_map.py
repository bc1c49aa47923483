"""Find for each numbered sentence of SPECIFICATION.md the tests that show it, and write SPECIFICATION_TESTS.md.

tests/specification.toml names them. A sentence without a test, a name of no sentence, and a test that does not exist are
errors.
With --check nothing is written, and a table that differs is an error too.
"""

import argparse
import ast
import re
import sys
import tomllib
from pathlib import Path

CONTRACTS = Path(__file__).resolve().parent.parent
TESTS = CONTRACTS / "tests"
SPECIFICATION = CONTRACTS / "SPECIFICATION.md"
TABLE = CONTRACTS / "SPECIFICATION_TESTS.md"
SENTENCE = re.compile(r"^(\d+\.\d+) (.+)$", re.MULTILINE)
HEAD = """# Which test shows which sentence

Written by `scripts/spec_map.py` from `tests/specification.toml`; paths are below `contracts/tests`.

| sentence | begins | shown by |
|---|---|---|
"""


def main(arguments: list[str]) -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--check", action="store_true", help="compare instead of writing")
    options = parser.parse_args(arguments)
    sentences = dict(SENTENCE.findall(SPECIFICATION.read_text()))
    shown = {
        number: tests
        for part in tomllib.loads((TESTS / "specification.toml").read_text()).values()
        for number, tests in part.items()
    }
    problems = [f"sentence {number} has no test" for number in sentences if not shown.get(number)]
    problems += [
        f"{number} is no sentence of SPECIFICATION.md" for number in shown if number not in sentences
    ]
    problems += [
        f"{number} names a test that does not exist: {name}"
        for number, names in shown.items()
        for name in names
        if not exists(name)
    ]
    text = HEAD + "".join(row(number, begins, shown.get(number, [])) for number, begins in sentences.items())
    if options.check and not problems and (not TABLE.exists() or TABLE.read_text() != text):
        problems.append(f"{TABLE.name} is not what scripts/spec_map.py writes: run it")
    if not options.check:
        TABLE.write_text(text)
    for problem in problems:
        print(f"spec_map: {problem}", file=sys.stderr)
    return 1 if problems else 0


def exists(name: str) -> bool:
    """Tell whether a folder, file, class or test is there; a folder or file must hold a test."""
    path, *members = name.split("::")
    place = TESTS / path
    if place.is_dir():
        return any(tests_in(ast.parse(file.read_text())) for file in place.glob("test_*.py"))
    if not place.exists():
        return False
    found: ast.AST | None = ast.parse(place.read_text())
    for member in members:
        found = next(
            (each for each in getattr(found, "body", []) if getattr(each, "name", None) == member), None
        )
    return found is not None and tests_in(found)


def tests_in(node: ast.AST) -> bool:
    return any(isinstance(each, ast.FunctionDef) and each.name.startswith("test_") for each in ast.walk(node))


def row(number: str, begins: str, tests: list[str]) -> str:
    words = begins.replace("|", "\\|")
    names = "<br>".join(f"`{test}`" for test in tests)
    return f"| {number} | {words} … | {names} |\n"


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
