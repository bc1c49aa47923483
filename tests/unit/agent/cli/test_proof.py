"""`hireling proof`: arguments that are none, before anybody is asked."""

import pytest
from typer.testing import CliRunner

from hireling.cli.main import app

RENTAL = "0x" + "ab" * 32


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["0x1234", "0"], "RENTAL has 2 bytes, not 32"),
        (["rental", "0"], "RENTAL: 'rental' is not 0x-hex"),
        ([RENTAL, "0", "--publisher", "0x12"], "--publisher has 1 bytes, not 20"),
        ([RENTAL, "0", "--contract", "me"], "--contract: 'me' is not 0x-hex"),
    ],
)
def test_names_the_argument_that_is_none_and_exits_2(arguments: list[str], said: str) -> None:
    result = CliRunner().invoke(app, ["proof", *arguments])
    assert (result.exit_code, result.output) == (2, f"error: {said}\n")


def test_takes_no_negative_number() -> None:
    assert CliRunner().invoke(app, ["proof", RENTAL, "-1"]).exit_code == 2
