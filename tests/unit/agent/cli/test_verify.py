"""`hireling verify`: every check in words; one altered digit named; exit codes."""

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from hireling.cli.main import app

VECTOR = Path(__file__).parents[3] / "vectors" / "bill.json"


def a_bill(folder: Path) -> Path:
    """Return a file with the bill of the test vectors."""
    path = folder / "bill.json"
    path.write_text(json.dumps(json.loads(VECTOR.read_text())["bill"]))
    return path


def verify(path: Path, *options: str) -> tuple[int, str]:
    result = CliRunner().invoke(app, ["verify", str(path), *options])
    assert result.exception is None or isinstance(result.exception, SystemExit)
    return result.exit_code, result.stdout


class TestVerify:
    def test_says_each_check_and_exits_0(self, tmp_path: Path) -> None:
        code, said = verify(a_bill(tmp_path))

        assert code == 0
        assert "readings signed by the meter, chained and priced" in said
        assert said.splitlines()[-1].startswith("the bill holds")

    def test_names_the_reading_of_an_altered_digit_and_exits_1(self, tmp_path: Path) -> None:
        path = a_bill(tmp_path)
        bill = json.loads(path.read_text())
        counters = bill["bill"]["readings"][1]["reading"]["sample"]["counters"]
        counters[0] = str(int(counters[0]) + 1)
        path.write_text(json.dumps(bill))

        assert verify(path) == (1, "reading 1: signature does not match\n")

    def test_refuses_another_issuer(self, tmp_path: Path) -> None:
        code, said = verify(a_bill(tmp_path), "--issuer", "0x" + "11" * 20)

        assert code == 1
        assert said.startswith("issuer:")

    @pytest.mark.parametrize("content", ["", "{", "not json"])
    def test_exits_2_for_a_file_that_is_no_json(self, tmp_path: Path, content: str) -> None:
        path = tmp_path / "bill.json"
        path.write_text(content)

        assert verify(path)[0] == 2

    def test_exits_2_where_there_is_no_file(self, tmp_path: Path) -> None:
        assert verify(tmp_path / "missing.json")[0] == 2

    def test_says_it_in_json_for_programs(self, tmp_path: Path) -> None:
        code, said = verify(a_bill(tmp_path), "--json")

        event = json.loads(said)
        assert code == 0
        assert event["event"] == "verified"
        assert isinstance(event["total"], str)
