"""What counts as killed, and what does not."""

import pytest
from equivalents import reviewed
from report import Tried, is_enough, share, text
from selection import CONTRACTS, SOURCES, stages
from syntax import Mutant, Source
from verdict import Failure, Outcome, outcome_of

SOURCE = Source("src/a/B.sol", b"contract B {\n    uint256 x = 1;\n}\n", {})
MUTANT = Mutant("src/a/B.sol", "x", "constant", 29, 30, "2")
KILL = Failure.of("t.py::test", AssertionError("was not refused"))


def tried(*outcomes):
    return [Tried(SOURCE, MUTANT, outcome) for outcome in outcomes]


class TestOutcome:
    def test_a_failed_test_kills(self):
        assert outcome_of(1, KILL) is Outcome.KILLED

    def test_passed_tests_let_it_survive(self):
        assert outcome_of(0, None) is Outcome.SURVIVED

    @pytest.mark.parametrize("error", [ConnectionError("refused"), TimeoutError("20 s"), OSError(28, "full")])
    def test_a_failure_of_the_machinery_kills_nothing(self, error):
        assert outcome_of(1, Failure.of("t.py::test", error)) is Outcome.BROKEN

    @pytest.mark.parametrize("exit_code", [2, 3, 4, 5])
    def test_pytests_own_failure_kills_nothing(self, exit_code):
        assert outcome_of(exit_code, KILL) is Outcome.BROKEN

    def test_an_exit_that_no_test_explains_kills_nothing(self):
        assert outcome_of(1, None) is Outcome.BROKEN


class TestShare:
    def test_leaves_apart_what_nothing_could_notice(self):
        apart = (Outcome.SAME_CODE, Outcome.REVIEWED, Outcome.NOT_COMPILED)
        assert share(tried(Outcome.KILLED, Outcome.SURVIVED, *apart)) == (1, 2)

    def test_counts_what_could_not_be_tried_as_alive(self):
        assert share(tried(Outcome.KILLED, Outcome.TIMED_OUT, Outcome.BROKEN)) == (1, 3)

    def test_must_be_nine_of_ten(self):
        assert is_enough(tried(*[Outcome.KILLED] * 9, Outcome.SURVIVED))
        assert not is_enough(tried(*[Outcome.KILLED] * 8, Outcome.SURVIVED))

    def test_of_nothing_is_not_enough(self):
        assert not is_enough(tried(Outcome.SAME_CODE))


def test_the_report_shows_a_survivor_with_its_place_and_ends_with_the_figure():
    said = text(tried(Outcome.KILLED, Outcome.SURVIVED), "2", 7)

    assert "contracts/src/a/B.sol:2 survived" in said
    assert "-    uint256 x = 1;\n+    uint256 x = 2;" in said
    assert said.split("\n")[-1] == "killed: 50.0 % (1 of 2; at least 90%; SAMPLE=2 SEED=7)"


class TestReviewed:
    TEXT = """[[equivalent]]
file = "a/B.sol"
within = "x"
before = "uint256  x = 1;"
after = "uint256 x = {value};"
reason = "read by nobody"
"""

    def test_is_known_by_its_text_wherever_it_stands(self):
        (entry,) = reviewed(self.TEXT.format(value=2))
        moved = Source(SOURCE.path, b"\n\n" + SOURCE.text, {})
        assert entry.is_of(SOURCE, MUTANT)
        assert entry.is_of(moved, Mutant("src/a/B.sol", "x", "constant", 31, 32, "2"))

    def test_is_no_other_change(self):
        (entry,) = reviewed(self.TEXT.format(value=3))
        assert not entry.is_of(SOURCE, MUTANT)


@pytest.mark.parametrize("path", SOURCES)
def test_every_source_is_tried_by_every_test_of_the_escrow_once(path):
    likely, others, walks = stages(path)
    tests = [*likely, *others, *walks]

    assert likely
    assert len(set(tests)) == len(tests)
    assert all((CONTRACTS / test).exists() for test in tests)
    assert {test for test in tests if "rental_escrow" in test} == {
        str(file.relative_to(CONTRACTS)) for file in (CONTRACTS / "tests/rental_escrow").rglob("test_*.py")
    }
