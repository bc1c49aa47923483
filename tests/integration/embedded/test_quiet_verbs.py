"""Who types a verb reads its answer, and no library's words on itself."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from tests.e2e.programs import HIRELING

PYTHON = [sys.executable, "-m"]
VECTOR = Path(__file__).parents[2] / "vectors" / "bill.json"


def run(*command: str) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Have the verbs find nothing of this machine's, and warnings as whoever installed us sees them."""
    monkeypatch.setenv("HIRELING_HOME", str(tmp_path / "home"))
    monkeypatch.delenv("PYTHONWARNINGS", raising=False)


@pytest.mark.parametrize(
    "command",
    [
        [*PYTHON, "services.embedded", "down"],
        [*PYTHON, "services.embedded", "--help"],
        [*PYTHON, "services.operator", "--help"],
        [str(HIRELING), "--help"],
        [str(HIRELING), "device", "run", "--help"],
    ],
    ids=lambda command: " ".join(Path(word).name for word in command[-3:]),
)
def test_a_verb_that_succeeds_says_nothing_beside_its_answer(command: list[str]) -> None:
    done = run(*command)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout


def test_a_bill_is_verified_without_a_word_beside(tmp_path: Path) -> None:
    bill = tmp_path / "bill.json"
    bill.write_text(json.dumps(json.loads(VECTOR.read_text())["bill"]))
    done = run(str(HIRELING), "verify", str(bill))
    assert (done.returncode, done.stderr) == (0, "")


def test_the_gateways_document_is_compared_without_a_word() -> None:
    done = run(*PYTHON, "services.gateway.openapi", "--check")
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


@pytest.mark.parametrize("process", ["services.operator.__main__", "services.gateway.__main__"])
def test_who_only_talks_to_rabbitmq_loads_no_eventlet(process: str) -> None:
    done = run(sys.executable, "-c", f"import sys, {process}; sys.exit('eventlet' in sys.modules)")
    assert (done.returncode, done.stderr) == (0, "")
