"""Write what is in our images as CycloneDX bills of materials: ``make sbom``, into build/supply/.

Each is made of the environment that the image holds, installed from the same lock, and must name each package
of that lock in its version. Exits 1 where one does not. What the base images bring is not in them.
"""

import json
import re
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

PROJECT = Path(__file__).parents[2]
FOLDER = PROJECT / "build/supply"
CONTRACTS = PROJECT / "contracts"


class Incomplete(Exception):
    """A bill that lacks what it should name; the message says what."""


@dataclass(frozen=True)
class PythonBill:
    """The bill of an environment of Python's, and the lock that it was made from."""

    name: str
    environment: Path
    lock: Path

    def write(self) -> None:
        """Write it. Raises Incomplete."""
        to = FOLDER / f"{self.name}.cdx.json"
        tool = Path(sys.executable).parent / "cyclonedx-py"
        # Holding the bill against its own schema takes a quarter of a minute, and tells of the tool alone.
        options = ("--no-validate", "--output-reproducible", "--of", "JSON", "-o", to)
        subprocess.run(
            [tool, "environment", *options, self.environment / "bin/python"],
            check=True,
            timeout=300,
            stderr=subprocess.DEVNULL,
        )
        lacking = pinned(self.lock) - components(to)
        if lacking:
            raise Incomplete(f"{to.name} lacks {', '.join(sorted(lacking))} of {self.lock.name}")


def main() -> int:
    """Write every bill, and return the exit code."""
    FOLDER.mkdir(parents=True, exist_ok=True)
    try:
        for bill in (
            PythonBill("platform", PROJECT / ".venv-run", PROJECT / "requirements/run.lock"),
            # The image of the contracts deploys, and nothing of it stays running.
            PythonBill("contracts", PROJECT / ".venv-contracts", PROJECT / "requirements/contracts.lock"),
        ):
            bill.write()
        write_npm()
    except Incomplete as error:
        print(error, file=sys.stderr)
        return 1
    for path in sorted(FOLDER.glob("*.cdx.json")):
        print(f"{path.relative_to(PROJECT)}: {len(components(path))} packages")
    return 0


def write_npm() -> None:
    """Write what npm installs into the images of the contracts and of the chain."""
    to = FOLDER / "contracts-npm.cdx.json"
    command = ["npm", "sbom", "--sbom-format", "cyclonedx", "--package-lock-only", "--omit", "dev"]
    done = subprocess.run(command, cwd=CONTRACTS, check=True, capture_output=True, text=True, timeout=120)
    to.write_text(done.stdout)
    if not components(to):
        raise Incomplete(f"{to.name} is empty")


def pinned(lock: Path) -> set[str]:
    """Return each package of a lock as ``name==version``, its name as indexes write it."""
    found = re.findall(r"^([A-Za-z0-9._-]+)==(\S+)", lock.read_text(), re.MULTILINE)
    if not found:
        raise Incomplete(f"{lock.name} names no package")
    return {f"{canonical(name)}=={version}" for name, version in found}


def components(bill: Path) -> set[str]:
    """Return each package of a bill in the same way."""
    listed = json.loads(bill.read_text())["components"]
    return {f"{canonical(each['name'])}=={each['version']}" for each in listed}


def canonical(name: str) -> str:
    """Return a package's name as indexes compare it."""
    return re.sub(r"[-_.]+", "-", name).lower()


if __name__ == "__main__":
    sys.exit(main())
