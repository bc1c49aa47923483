"""By which licences others' code may be in our images."""

import json
import subprocess
from pathlib import Path
from typing import Any

PROJECT = Path(__file__).parents[3]
PYTHON = PROJECT / ".venv-supply/bin/python"


def declared(*licences: str) -> list[dict[str, Any]]:
    """Return what CycloneDX writes: an expression, an identifier, or the package's own words."""
    return [
        {"expression": each} if " OR " in each or " AND " in each
        else {"license": {"name" if "::" in each else "id": each}}
        for each in licences
    ]  # fmt: skip


def judged(folder: Path, packages: dict[str, list[dict[str, Any]]], version: str = "1.0") -> tuple[int, str]:
    assert PYTHON.exists(), "make supply sets up what holds licences to their list"
    bill = folder / "bill.cdx.json"
    bill.write_text(
        json.dumps(
            {
                "components": [
                    {"name": name, "version": version, "licenses": licences}
                    for name, licences in packages.items()
                ]
            }
        )
    )
    done = subprocess.run(
        [PYTHON, "-m", "supply.licences", bill],
        env={"PYTHONPATH": str(PROJECT / "infra")},
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    return done.returncode, done.stdout + done.stderr


def test_allows_what_the_list_allows(tmp_path: Path) -> None:
    fine = {
        "one": declared("MIT"),
        "either": declared("AGPL-3.0-only OR Apache-2.0"),
        "both": declared("MIT AND (BSD-3-Clause OR GPL-2.0-only)"),
        "words": declared("License :: OSI Approved :: BSD License"),
        "twice": declared("MPL-2.0", "License :: OSI Approved :: Mozilla Public License 2.0 (MPL 2.0)"),
        "Psycopg_Binary": declared("LGPL-3.0-only"),
    }
    assert judged(tmp_path, fine) == (0, "licences: 1 bills, 0 mistakes\n")
    assert judged(tmp_path, {"nameko": []}, version="2.14.1")[0] == 0


def test_names_each_package_that_it_does_not_allow(tmp_path: Path) -> None:
    wrong = {
        "silent": [],
        "affero": declared("AGPL-3.0-only"),
        "one-of-both": declared("MIT AND GPL-3.0-only"),
        "one-of-two": declared("MIT", "GPL-3.0-only"),
        "own-words": declared("License :: Other"),
        "misspelt": declared("MIT OR Apache-2.O"),
        "lesser": declared("LGPL-3.0-only"),
        # Looked at in another version, and one that now says something else than was looked at.
        "nameko": [],
        "psycopg": declared("GPL-3.0-only"),
    }
    status, told = judged(tmp_path, wrong)
    assert status == 1
    lines = told.splitlines()
    assert [line.split()[1] for line in lines[:-1]] == list(wrong), told


def test_refuses_a_bill_of_nothing(tmp_path: Path) -> None:
    assert judged(tmp_path, {})[0] == 1


def test_what_must_stay_apart_is_in_no_other_lock() -> None:
    locks = {path.stem: path.read_text() for path in (PROJECT / "requirements").glob("*.lock")}
    assert [name for name, text in locks.items() if "\nnegmas==" in f"\n{text}"] == ["arena"]
