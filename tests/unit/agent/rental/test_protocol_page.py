"""docs/protocol.md says what the code does."""

from pathlib import Path
from typing import get_args

from hireling.rental.errors import RefusalCode
from hireling.rental.states import DEFAULTS, TERMINAL, advance
from hireling.rental.typed_data import type_string
from tests.vectors.types import examples

PAGE = (Path(__file__).parents[4] / "docs" / "protocol.md").read_text()


class TestProtocolPage:
    def test_shows_every_signed_type(self) -> None:
        own = [type_string(type(example)).split(")")[0] + ")" for example in examples()]
        assert [encoding for encoding in own if f"\n{encoding}\n" not in PAGE] == []

    def test_shows_every_refusal(self) -> None:
        assert [code for code in get_args(RefusalCode) if f"`{code}` |" not in PAGE] == []

    def test_shows_every_default(self) -> None:
        rows = {
            cells[1]: (cells[3], cells[4])
            for line in PAGE.splitlines()
            if len(cells := [cell.strip() for cell in line.split("|")]) == 6
        }
        for state, trigger in DEFAULTS.items():
            assert rows[state] == (trigger, advance(state, trigger))

    def test_names_every_end(self) -> None:
        sentence = next(
            line for line in PAGE.splitlines() if line.endswith("where a rental lands whose escrow")
        )
        assert [state for state in TERMINAL if state not in sentence] == []
