"""The replay driver: exact counters, one sample a row, never early, going on where it stopped."""

import asyncio
from fractions import Fraction
from importlib.resources import files
from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hireling.drivers.driver import BadInput, Progress, Sample
from hireling.drivers.replay.driver import ReplayDriver
from hireling.drivers.replay.trace import Row, read_trace
from hireling.rental.reading import Sample as Signed
from hireling.rental.reading import check_rates
from tests.unit.agent.rentals import HandClock


def rows(*energies: int | Fraction) -> list[Row]:
    return [Row(energy_mj=Fraction(energy), seconds=Fraction(1)) for energy in energies]


def a_replay(trace: list[Row], *, speed: int = 10) -> ReplayDriver:
    return ReplayDriver(trace, speed=speed, clock=HandClock(), title="A kettle")


def play(driver: ReplayDriver, progress: Progress = Progress(counters=(0,))) -> list[Sample]:  # noqa: B008 - frozen
    async def run() -> list[Sample]:
        await driver.begin(progress)
        return [sample async for sample in driver.samples()]

    return asyncio.run(run())


def signed(sample: Sample) -> Signed:
    return Signed.model_validate(
        {
            "previous": bytes(32), "counters": sample.counters, "boot": bytes(32),
            "monotonic_ms": sample.monotonic_ms, "wall_ms": 0, "clock": 1, "event": 1, "flags": 0,
        }
    )  # fmt: skip


class TestReplayDriver:
    def test_gives_one_sample_a_row_with_cumulative_energy(self) -> None:
        samples = play(a_replay(rows(100, 0, 250)))

        assert [sample.counters for sample in samples] == [(100,), (100,), (350,)]
        assert [sample.position for sample in samples] == [1, 2, 3]

    def test_loses_no_fraction_of_a_millijoule(self) -> None:
        samples = play(a_replay(rows(*[Fraction(1, 3)] * 10)))

        assert samples[-1].counters == (3,)

    def test_goes_on_with_the_next_row(self) -> None:
        samples = play(a_replay(rows(100, 0, 250)), Progress(counters=(100,), position=1))

        assert [sample.counters for sample in samples] == [(100,), (350,)]

    def test_refuses_to_go_on_with_another_trace(self) -> None:
        with pytest.raises(BadInput, match="not the trace the rental began with"):
            play(a_replay(rows(100, 0, 250)), Progress(counters=(99,), position=1))

    def test_refuses_a_speed_that_no_clock_can_follow(self) -> None:
        with pytest.raises(BadInput, match="1 to 1000 times"):
            a_replay(rows(1), speed=1001)

    @given(energies=st.lists(st.fractions(0, 10**6), min_size=1, max_size=30), speed=st.integers(1, 1000))
    def test_never_exceeds_the_rate_and_the_step_it_declares(
        self, energies: list[Fraction], speed: int
    ) -> None:
        driver = a_replay(rows(*energies), speed=speed)
        start = Sample(counters=(0,), monotonic_ms=HandClock().monotonic_ms(), position=0)
        samples = [start, *play(driver)]

        most = [driver.facts.counters[0].max_per_second]
        for before, after in pairwise(samples):
            check_rates(signed(before), signed(after), max_per_second=most, slack_ms=0)
            assert after.counters[0] - before.counters[0] <= driver.facts.step[0]

    def test_plays_the_trace_that_is_shipped(self) -> None:
        path = Path(str(files("hireling.drivers") / "traces" / "small_computer.csv"))
        trace = read_trace(path, column="power_W", interval=None)

        samples = play(a_replay(list(trace), speed=20))

        assert len(samples) == 60
        assert samples[-1].counters[0] == sum(row.energy_mj for row in trace) > 0
