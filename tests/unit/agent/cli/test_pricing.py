"""``hireling pricing``: what the pricing agent did, in words, as a picture and for programs."""

import json
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest
from typer.testing import CliRunner

from hireling.cli.main import app
from hireling.device.price_journal import FILE
from tests.unit.agent.device.test_pricing import MIDNIGHT, Machine, a_crowd
from tests.unit.agent.rentals import HandClock


@pytest.fixture
def home(tmp_path: Path) -> Path:
    """Return a home in which a machine's pricing agent ran in shadow for two hours."""
    folder = tmp_path / "devices" / "kettle"
    folder.mkdir(parents=True)
    a_crowd(folder)
    machine = Machine(folder, HandClock(MIDNIGHT))
    machine.live(machine.opened("shadow"), 2.2, is_free=False)
    return tmp_path


def said(*arguments: str) -> tuple[int, str]:
    """Return a command's exit code and what it printed."""
    result = CliRunner().invoke(app, ["pricing", *arguments])
    return result.exit_code, result.output


class TestPricing:
    def test_tells_each_change_with_its_reason_and_an_estimate(self, home: Path) -> None:
        code, text = said("--home", str(home))

        assert code == 0
        assert "kettle: pricing shadow; its owner asks 0.400000 tUSD per kWh" in text
        assert "would have changed 0.400000 tUSD to 0.420000 tUSD" in text
        assert "because: demand carries more" in text
        assert "an estimate, not a measurement" in text
        picture = home / "pictures" / "pricing-kettle.svg"
        assert f"picture: {picture}" in text
        assert ET.parse(picture).getroot().tag.endswith("svg")  # noqa: S314 - our own file

    def test_tells_programs(self, home: Path) -> None:
        code, text = said("--home", str(home), "--machine", "kettle", "--json")

        told = [json.loads(line) for line in text.splitlines()]
        assert code == 0
        first = next(one for one in told if one["price"] != one["price_before"])
        assert (first["rule"], first["price_before"], first["price"]) == (
            "demand carries more",
            "400000",
            "420000",
        )
        gain = {name: float(share) for name, share in told[-1]["gain"].items()}
        assert gain["low"] <= gain["expected"] <= gain["high"]

    def test_says_so_where_nothing_was_kept(self, tmp_path: Path) -> None:
        code, text = said("--home", str(tmp_path))

        assert code == 2
        assert "no pricing agent ran" in text

    def test_says_so_where_the_journal_is_damaged(self, home: Path) -> None:
        path = home / "devices" / "kettle" / FILE
        path.write_bytes(b"junk\n" + path.read_bytes())

        code, text = said("--home", str(home))

        assert code == 1
        assert "line 1 is damaged" in text
