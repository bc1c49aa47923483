"""Ask what is known to be wrong with what our images carry: ``make audit``.

It needs services that know: OSV for Python's packages, npm's registry for its own. Without them the answer is
that nobody knows, which is not that all is well. Exits 0 where nothing is known to be wrong, 1 where
something is, 2 where nobody knows.
"""

import argparse
import json
import subprocess
import sys
from pathlib import Path

PROJECT = Path(__file__).parents[2]
LOCKS = ("run", "contracts")
FINE, WRONG, UNKNOWN = 0, 1, 2


def main() -> int:
    """Ask for every image, print what was said, and return the exit code."""
    parser = argparse.ArgumentParser(description=__doc__)
    # Not PyPI's own answers: a mirror may leave vulnerabilities out of them, and then all seems well.
    parser.add_argument("--osv-url", default="https://api.osv.dev/v1/query", help="or a mirror of yours")
    url = parser.parse_args().osv_url
    answers = {f"{lock}.lock": of_python(PROJECT / f"requirements/{lock}.lock", url) for lock in LOCKS}
    answers["package-lock.json"] = of_npm(PROJECT / "contracts")
    for name, (status, told) in answers.items():
        words = {FINE: "nothing is known to be wrong", WRONG: "vulnerable", UNKNOWN: "nobody knows"}[status]
        print(f"{name}: {words}{told and ': '}{told}")
    statuses = {status for status, _ in answers.values()}
    return WRONG if WRONG in statuses else max(statuses)


def of_python(lock: Path, url: str) -> tuple[int, str]:
    """Return how a lock is by the service at this address, and what was said of it."""
    service = ("--vulnerability-service", "osv", "--osv-url", url, "--timeout", "20")
    options = (
        "--strict",
        "--disable-pip",
        "--require-hashes",
        "--progress-spinner",
        "off",
        "--format",
        "json",
    )
    tool = Path(sys.executable).parent / "pip-audit"
    status, out, error = _ask(tool, *service, *options, "--requirement", lock)
    try:
        packages = json.loads(out)["dependencies"]
    except (ValueError, KeyError):
        return UNKNOWN, _last_line(error)
    found = [
        f"{each['name']} {each['version']} ({vuln['id']})" for each in packages for vuln in each["vulns"]
    ]
    if found:
        return WRONG, ", ".join(found)
    return (FINE, "") if status == 0 and packages else (UNKNOWN, _last_line(error))


def of_npm(folder: Path) -> tuple[int, str]:
    """Return the same of what npm installs into an image."""
    status, out, error = _ask("npm", "audit", "--omit", "dev", "--package-lock-only", "--json", cwd=folder)
    try:
        vulnerable = json.loads(out)["vulnerabilities"]
    except (ValueError, KeyError):
        return UNKNOWN, _last_line(error)
    if vulnerable:
        return WRONG, ", ".join(sorted(vulnerable))
    return (FINE, "") if status == 0 else (UNKNOWN, _last_line(error))


def _ask(*command: str | Path, cwd: Path = PROJECT) -> tuple[int, str, str]:
    try:
        done = subprocess.run(command, cwd=cwd, capture_output=True, text=True, check=False, timeout=300)
    except subprocess.TimeoutExpired:
        return UNKNOWN, "", "no answer in five minutes"
    return done.returncode, done.stdout, done.stderr


def _last_line(error: str) -> str:
    return (error.strip().splitlines() or ["no reason given"])[-1][:300]


if __name__ == "__main__":
    sys.exit(main())
