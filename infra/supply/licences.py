"""Hold every package of the bills in build/supply/ to licences.toml: ``make supply``.

``licences.py BILL…`` holds these bills instead. Exits 1, with the name of each whose licence is unknown
or not allowed, and of each that must stay apart and is in a lock where it must not be.
"""

import json
import sys
import tomllib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from license_expression import AND, OR, ExpressionError, get_spdx_licensing

from supply.bills import FOLDER, PROJECT, canonical, pinned

POLICY = Path(__file__).parent / "licences.toml"
SPDX = get_spdx_licensing()


@dataclass(frozen=True)
class Look:
    """What is allowed to some packages alone; with a version, only to that one."""

    names: list[str]
    licence: str
    why: str
    version: str | None = None


@dataclass(frozen=True)
class Policy:
    """What licences.toml says."""

    allowed: set[str]
    words: dict[str, str]
    packages: list[Look]

    @classmethod
    def read(cls, path: Path) -> "Policy":
        """Return what the file says."""
        said = tomllib.loads(path.read_text())
        return cls(
            allowed={*said["permissive"], *said["of_own_files"]},
            words=said["words"],
            packages=[Look(**each) for each in said["package"]],
        )

    def complaint(self, component: dict[str, Any]) -> str | None:
        """Return why a package may not be in an image, None where it may."""
        name, version = canonical(component["name"]), component["version"]
        declared = [self.words.get(licence, licence) for licence in _declared(component)]
        for each in self.packages:
            if name in each.names and each.version in {None, version}:
                # Where it declares something after all, that must be what was looked at.
                declared = declared or [each.licence]
                return None if declared == [each.licence] else f"declares {declared}, not {each.licence}"
        if not declared:
            return "declares no licence"
        refused = [licence for licence in declared if not self._is_allowed(licence)]
        return f"is under {' and '.join(refused)}" if refused else None

    def _is_allowed(self, licence: str) -> bool:
        if licence in self.allowed:
            return True
        try:
            return self._holds(SPDX.parse(licence, validate=True, strict=True))
        except ExpressionError:
            return False

    def _holds(self, expression: Any) -> bool:
        if isinstance(expression, OR):
            return any(self._holds(each) for each in expression.args)
        if isinstance(expression, AND):
            return all(self._holds(each) for each in expression.args)
        return str(expression) in self.allowed


def main() -> int:
    """Check, print what is wrong, and return the exit code."""
    bills = [Path(name) for name in sys.argv[1:]] or sorted(FOLDER.glob("*.cdx.json"))
    policy = Policy.read(POLICY)
    mistakes = [mistake for bill in bills for mistake in of_bill(bill, policy)] + list(of_locks())
    if not bills:
        mistakes.append("there is no bill: make sbom")
    print("\n".join([*mistakes, f"licences: {len(bills)} bills, {len(mistakes)} mistakes"]))
    return int(bool(mistakes))


def of_bill(bill: Path, policy: Policy) -> Iterator[str]:
    """Yield each package that may not be in this image, and why."""
    listed = json.loads(bill.read_text())["components"]
    if not listed:
        yield f"{bill.name}: names no package"
    for component in listed:
        if complaint := policy.complaint(component):
            yield f"{bill.name}: {component['name']} {component['version']} {complaint}"


def of_locks() -> Iterator[str]:
    """Yield each package that must stay apart, and is elsewhere."""
    for each in tomllib.loads(POLICY.read_text())["apart"]:
        for lock in sorted((PROJECT / "requirements").glob("*.lock")):
            names = {package.partition("==")[0] for package in pinned(lock)}
            for name in names & set(each["names"]):
                if lock.stem != each["lock"]:
                    yield f"{lock.name}: {name} ({each['licence']}) may be in {each['lock']}.lock alone"


def _declared(component: dict[str, Any]) -> list[str]:
    """Return what a package says, each once; in CycloneDX it is an expression, an identifier or words."""
    said = [
        each.get("expression") or each["license"].get("id") or each["license"]["name"]
        for each in component.get("licenses", [])
    ]
    return list(dict.fromkeys(said))


if __name__ == "__main__":
    sys.exit(main())
