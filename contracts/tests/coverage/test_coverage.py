"""See coverage.tree. The tool on a sample of its own, before a chain of its own: a tool that cannot fail measures nothing."""

import sys
from contextlib import closing, contextmanager
from pathlib import Path

import pytest
from eth_abi import decode, encode
from eth_utils import keccak

CONTRACTS = Path(__file__).parents[2]
sys.path[:0] = [str(CONTRACTS / "coverage"), str(CONTRACTS / "gas")]

from assembly_marks import Unfollowed  # noqa: E402  the paths come first
from chain import Chain, running_chain  # noqa: E402
from compiling import compiled, instrumented  # noqa: E402
from recording import Reached, recording  # noqa: E402
from reporting import Coverage, Share, lcov, problems, table  # noqa: E402

PATH = "src/Sample.sol"
TEXT = (Path(__file__).parent / "Sample.sol").read_bytes()


@pytest.fixture(scope="module")
def marked():
    sources, points = instrumented({PATH: TEXT})
    return code_of(sources), points


@pytest.fixture(scope="module")
def plain():
    return code_of({PATH: TEXT.decode()})


@pytest.fixture
def node():
    with running_chain() as chain, closing(chain._session):
        yield chain._url


@pytest.fixture
def sample(node, marked):
    code, points = marked
    with recording(node) as (recorder, door), asking(door) as chain:
        yield Sample(chain, code, Coverage(points, recorder.reached))


@contextmanager
def asking(url):
    chain = Chain(url)
    with closing(chain._session):
        yield chain


class Sample:
    """The sample on a chain, behind the door or not."""

    def __init__(self, chain, code, coverage=None) -> None:
        self._chain = chain
        self._sender = chain.rpc("eth_accounts")[0]
        self._address = chain.send(self._sender, None, code).contract
        self.coverage = coverage

    def _call(self, function, *values):
        types = ",".join(["uint256"] * len(values))
        data = keccak(text=f"{function}({types})")[:4] + encode(["uint256"] * len(values), values)
        return {"from": self._sender, "to": self._address, "data": "0x" + data.hex(), "gas": hex(2_000_000)}

    def read(self, function, *values):
        answer = self._chain.rpc("eth_call", self._call(function, *values), "latest")
        return decode(["uint256"], bytes.fromhex(answer[2:]))[0]

    def refuse(self, function, *values):
        with pytest.raises(RuntimeError, match="revert"):
            self._chain.rpc("eth_call", self._call(function, *values), "latest")

    def send(self, function, *values):
        sent = self._chain.rpc("eth_sendTransaction", self._call(function, *values))
        return self._chain._receipt(sent)["status"]

    def reach_everything(self):
        for value in (0, 1, 14, 2_000, 120):
            self.read("halved", value)
        for value in (20, 1_001):
            assert self.send("keep", value) == "0x1"
        for value in (5, 77):
            self.refuse("keep", value)
        for times in (0, 1, 2, 3, 4):
            self.read("shapes", times)
        self.refuse("shapes", 5)


def code_of(sources):
    answer = compiled(
        sources, {PATH: {"Sample": ["evm.bytecode.object"]}}, viaIR=True, optimizer={"enabled": True}
    )
    return bytes.fromhex(answer["contracts"][PATH]["Sample"]["evm"]["bytecode"]["object"])


def line_of(text):
    return (
        TEXT.decode().splitlines().index(next(line for line in TEXT.decode().splitlines() if text in line))
        + 1
    )


class TestMissed:
    def test_lines_are_named_and_too_many_are_refused(self, sample):
        sample.read("halved", 20)

        line = line_of("kept = value > 1000")
        assert f"{PATH}:{line}: never reached" in sample.coverage.missed
        assert any("lines were reached" in problem for problem in problems(sample.coverage))

    def test_branches_are_named_and_too_many_are_refused(self, sample):
        sample.reach_everything()
        enough = problems(sample.coverage)
        reached = Reached()
        for point in sample.coverage.points:
            if "value == 77 is true" not in point.label:
                reached.read(f'"to":"0xc0fec0fe{point.group:08x}{1 << point.bit:024x}"'.encode())

        coverage = Coverage(sample.coverage.points, reached)

        place = f"{PATH}:{line_of('value == 77')}"
        assert enough == []
        assert coverage.missed == [f"{place}: never was `value == 77 is true`"]
        assert f"{place}: never was `value == 77 is true`" in table(coverage)
        assert coverage.branch_share.hit == coverage.branch_share.total - 1

    def test_conditions_are_told_apart(self, sample):
        sample.refuse("keep", 5)
        sample.send("keep", 20)

        missed = [each for each in sample.coverage.missed if f":{line_of('value == 77')}:" in each]
        assert [each.split("`")[1] for each in missed] == ["value == 77 is true"]
        assert any("branches were reached" in problem for problem in problems(sample.coverage))

    def test_a_revert_is_refused_whatever_the_shares(self, sample):
        sample.send("keep", 20)

        place = f"{PATH}:{line_of('revert Sample_TooLow')}"
        assert f"{place}: nothing was refused by `revert Sample_TooLow(value)`" in problems(sample.coverage)

    def test_sources_without_anything_to_reach_are_refused(self):
        assert problems(Coverage([], Reached())) == ["nothing was found that could be reached"]

    @pytest.mark.parametrize(("hit", "is_enough"), [(97, False), (98, True), (100, True)])
    def test_98_of_100_are_enough(self, hit, is_enough):
        assert Share(hit=hit, total=100).is_enough is is_enough
        assert Share(hit=hit * 10 - 1, total=1_000).is_enough is (hit == 100)


class TestReached:
    def test_by_a_call_that_reverts(self, sample):
        sample.refuse("keep", 5)

        assert sample.coverage.missed_refusals == [
            f"{PATH}:{line_of('too many')}: nothing was refused by `times < 5 is false`"
        ]

    def test_by_a_transaction_that_reverts(self, sample):
        assert sample.send("keep", 5) == "0x0"

        assert [each for each in sample.coverage.missed_refusals if "Sample_TooLow" in each] == []

    def test_everything_leaves_nothing_wrong(self, sample):
        sample.reach_everything()

        assert sample.coverage.missed == []
        assert problems(sample.coverage) == []

    def test_the_tracefile_counts_like_the_table(self, sample):
        sample.send("keep", 20)

        records = lcov(sample.coverage, "contracts").splitlines()
        lines = [record for record in records if record.startswith("DA:")]
        assert f"SF:contracts/{PATH}" in records
        assert f"LH:{sum(not record.endswith(',0') for record in lines)}" in records
        assert f"LF:{sample.coverage.line_share.total}" in records
        assert f"BRH:{sample.coverage.branch_share.hit}" in records


def test_marks_change_no_answer(node, sample, plain):
    calls = [("halved", value) for value in (0, 1, 14, 15, 99, 120)]
    calls += [("shapes", times) for times in range(5)]

    with asking(node) as chain:
        unmarked = Sample(chain, plain)
        expected = [unmarked.read(*call) for call in calls]

    assert [sample.read(*call) for call in calls] == expected


def test_assembly_that_leaves_its_block_is_not_measured():
    source = b"pragma solidity 0.8.34; contract C { function f() external { assembly { revert(0, 0) } } }"

    with pytest.raises(Unfollowed, match=r"src/C\.sol: line 1"):
        instrumented({"src/C.sol": source})
