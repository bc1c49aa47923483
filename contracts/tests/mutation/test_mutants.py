"""What the mutator makes of a source: every change it promises, each where it stands, and none that is no change."""

import pytest
from literals import neighbours
from mutants import mutants_of

SHELL = """// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.34;
contract A {{
    error No(uint256 a, uint256 b);
    event Yes(uint256 a);
    uint256 private held;
    modifier once() {{ _; }}
    function f(uint256 x, uint256 y) external once returns (uint256 z) {{
        {body}
    }}
}}
"""


@pytest.fixture
def changes(compiler):
    """Return how the one line of a body may change."""

    def changes_of(body):
        source = compiler.source(SHELL.format(body=body))
        pairs = [mutant.lines(source.text) for mutant in mutants_of(source)]
        return {after.strip() for before, after in pairs if before.strip() == body}

    return changes_of


class TestSolidity:
    def test_a_relation_becomes_its_boundary_and_its_opposite(self, changes):
        assert {"if (x <= y) z = x;", "if (x >= y) z = x;"} <= changes("if (x < y) z = x;")

    def test_a_sum_becomes_a_difference_and_loses_its_overflow_check(self, changes):
        assert "z = x - y;" in changes("z = x + y;")

    def test_each_side_of_a_conjunction_stands_alone(self, changes):
        found = changes("if (x == 7 && y == 8) z = x;")
        assert {"if (x == 7) z = x;", "if (y == 8) z = x;", "if (x == 7 || y == 8) z = x;"} <= found

    def test_a_constant_becomes_its_neighbours(self, changes):
        assert {"z = x * 1 hours;", "z = x * 3 hours;"} <= changes("z = x * 2 hours;")

    def test_what_is_assigned_upon_is_assigned_anew(self, changes):
        assert {"held = x;", "held -= x;"} <= changes("held += x;")

    def test_statements_go(self, changes):
        assert "{}" in changes("held = x;")
        assert "{}" in changes("emit Yes(x);")
        assert "if (x != y) {}" in changes("if (x != y) revert No(x, y);")

    def test_arguments_of_one_type_change_places(self, changes):
        assert "if (x != y) revert No(y, x);" in changes("if (x != y) revert No(x, y);")

    def test_a_guard_is_taken_off(self, compiler):
        source = compiler.source(SHELL.format(body="z = x;"))
        afters = [mutant.lines(source.text)[1] for mutant in mutants_of(source)]
        assert any("external  returns" in after for after in afters)

    def test_a_body_loses_its_overflow_checks_once(self, compiler):
        for body, times in (("z = x + y;", 1), ("unchecked { z = x + y; }", 0), ("z = x;", 0)):
            source = compiler.source(SHELL.format(body=body))
            assert sum(mutant.operator == "unchecked" for mutant in mutants_of(source)) == times

    def test_what_only_declares_stays(self, compiler):
        source = compiler.source(SHELL.format(body="z = x;"))
        assert {mutant.within for mutant in mutants_of(source)} == {"f"}


class TestAssembly:
    @pytest.mark.parametrize(
        ("body", "after"),
        [
            ("assembly { z := add(x, y) }", "assembly { z := sub(x, y) }"),
            ("assembly { z := shl(8, y) }", "assembly { z := shr(8, y) }"),
            ("assembly { z := shl(8, y) }", "assembly { z := shl(9, y) }"),
            ("assembly { z := shl(8, y) }", "assembly { z := shl(y, 8) }"),
            ("assembly { z := iszero(x) }", "assembly { z := x }"),
            ("assembly { z := eq(x, y) }", "assembly { z := iszero(eq(x, y)) }"),
            ("assembly { mstore(0x00, x) }", "assembly { mstore(0x01, x) }"),
            ("assembly { mstore(0x00, x) }", "assembly {  }"),
        ],
    )
    def test_changes(self, changes, body, after):
        assert after in changes(body)


class TestEveryMutant:
    def test_changes_the_text_and_only_where_it_says(self, compiler):
        source = compiler.source(SHELL.format(body="if (x < y && !(x == 3)) held += x * 2;"))
        for mutant in mutants_of(source):
            changed = mutant.apply(source.text)
            assert changed != source.text
            assert changed.startswith(source.text[: mutant.start])
            assert changed.endswith(source.text[mutant.end :])

    def test_is_found_once(self, compiler):
        source = compiler.source(SHELL.format(body="if (x < y && !(x == 3)) held += x * 2;"))
        texts = [mutant.apply(source.text) for mutant in mutants_of(source)]
        assert len(set(texts)) == len(texts)


class TestNeighbours:
    @pytest.mark.parametrize(
        ("text", "expected"),
        [
            ("0", ["1"]),
            ("1", ["2", "0"]),
            ("10_000", ["10001", "9999"]),
            ("48 hours", ["49 hours", "47 hours"]),
            ("0x1f", ["0x20", "0x1e"]),
            ("0x00", ["0x01"]),
            ("0x" + "00" * 31 + "ff", ["0x" + "00" * 30 + "0100"]),
            ("PERMIT2", []),
        ],
    )
    def test_keep_the_notation(self, text, expected):
        assert neighbours(text) == expected
