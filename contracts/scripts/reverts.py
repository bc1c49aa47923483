"""Check that every custom error of src/ is thrown somewhere, and that a test in tests/ expects it by name.

That every place which throws is reached is coverage.sh's to check.

Errors of libraries that callers can meet (OpenZeppelin's) are their own tests' business.
"""

import re
import sys
from pathlib import Path

CONTRACTS = Path(__file__).resolve().parent.parent
DECLARED = re.compile(r"^\s*error (\w+)\(", re.MULTILINE)
THROWN = re.compile(r"\brevert (?:\w+\.)?(\w+)\(")
EXPECTED = re.compile(r"""["'](\w+_\w+)["']""")


def main() -> int:
    declared = found_in("src", ".sol", DECLARED)
    thrown = found_in("src", ".sol", THROWN)
    expected = found_in("tests", ".py", EXPECTED)
    # A selector written in assembly is a throw too.
    sources = "".join(path.read_text() for path in (CONTRACTS / "src").rglob("*.sol"))
    problems = [
        f"{name} is thrown nowhere"
        for name in declared
        if name not in thrown and f"{name}.selector" not in sources
    ]
    problems += [f"{name} is expected by no test" for name in declared if name not in expected]
    problems += [
        f"{name} is thrown but not declared in src/"
        for name in thrown
        if "_" in name and name not in declared
    ]
    for problem in sorted(problems):
        print(f"reverts: {problem}", file=sys.stderr)
    return 1 if problems else 0


def found_in(folder: str, ending: str, pattern: re.Pattern[str]) -> set[str]:
    return {
        name
        for path in (CONTRACTS / folder).rglob(f"*{ending}")
        for name in pattern.findall(path.read_text())
    }


if __name__ == "__main__":
    sys.exit(main())
