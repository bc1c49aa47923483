"""The rules of plausibility: each sees what it is for, with its numbers, and no honest machine is flagged."""

import json
import random
from collections.abc import Iterator, Sequence
from dataclasses import replace
from itertools import chain, repeat
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hireling.rental.reading import Reading, ReadingEvent
from loadtests.false_alarms import MACHINES, SHIPPED, Step, flags_of, readings_of, trace_machine
from services.metering.plausibility import Flag, Limits, Role, Watch
from services.metering.settings import MeteringSettings

LIMITS = MeteringSettings().limits
SHORT = replace(LIMITS, flat_readings=50, stuck_readings=40, idle_seconds=600)
NOISE = random.Random(7).choices(range(5_000, 9_000), k=2_000)


def steps(growths: Sequence[int], *, every: float = 10.0) -> Iterator[Step]:
    return (Step(every, (grown,)) for grown in growths)


def judged(life: Iterator[Step], *roles: Role, limits: Limits = SHORT, pieces: int = 10**6) -> list[Flag]:
    """Return the flags of a life, judged in pieces, each by what the one before left as JSON."""
    readings = list(readings_of(life, len(roles)))
    state: dict[str, Any] = {}
    known: dict[int, int] = {}
    found: list[Flag] = []
    for start in range(0, len(readings), pieces):
        watch = Watch.from_json(state, roles=roles, limits=limits)
        flags, windows, anchors = watch.take(readings[start : start + pieces])
        known = {**{anchor.hash: anchor.seq for anchor in reversed(anchors)}, **known}
        found += [*flags, *watch.find_repeats(windows, known)]
        state = json.loads(json.dumps(watch.to_json()))
    return found


class TestFlatRun:
    def test_flags_a_noisy_meter_that_froze(self) -> None:
        frozen = [*NOISE[:100], *repeat(7_001, 60)]
        (flag,) = judged(steps(frozen), Role.USE)
        assert (flag.seq, flag.code) == (150, "flat_run")
        assert "grew by exactly 7001 at each of 50 readings" in flag.reason

    @pytest.mark.parametrize(
        "growths",
        [
            [7_400] * 500,
            [*range(0, 7_400, 100), *[7_400] * 500],
            [*NOISE[:100], *[0] * 500],
            [*NOISE[:100], *[20] * 500],
            [*NOISE[:100], *[7_001] * 49, *NOISE[:100]],
        ],
        ids=["constant from its start", "a ramp before", "switched off", "standby", "a short stand"],
    )
    def test_leaves_honest_constant_loads_alone(self, growths: list[int]) -> None:
        assert judged(steps(growths), Role.USE) == []


class TestStuckCounter:
    def test_flags_one_that_stands_still_while_another_goes_on(self) -> None:
        life = chain((Step(10, (grown, 5)) for grown in NOISE[:50]), (Step(10, (0, 5)) for _ in range(60)))
        (flag,) = judged(life, Role.USE, Role.USE)
        assert (flag.seq, flag.code) == (90, "stuck_counter")
        assert flag.reason == "use counter 0 stood still at 40 readings at which another one grew"

    def test_leaves_a_counter_alone_that_nobody_ever_used(self) -> None:
        assert judged((Step(10, (grown, 0)) for grown in NOISE[:300]), Role.USE, Role.USE) == []

    def test_leaves_an_idle_machine_alone_whose_clock_goes_on(self) -> None:
        life = chain(
            (Step(10, (grown, 10_000)) for grown in NOISE[:50]),
            (Step(10, (0, 10_000)) for _ in range(300)),
        )
        assert judged(life, Role.USE, Role.TIME) == []


class TestPaidIdle:
    def test_flags_paid_time_without_use_once(self) -> None:
        (flag,) = judged((Step(10, (0, 10_000)) for _ in range(200)), Role.USE, Role.PAID_TIME)
        assert (flag.seq, flag.code) == (60, "paid_idle")
        assert flag.reason == "600 s were counted as paid time while nothing was used"

    def test_begins_anew_with_any_use(self) -> None:
        life = (Step(10, (int(at % 50 == 49), 10_000)) for at in range(500))
        assert judged(life, Role.USE, Role.PAID_TIME) == []


class TestReplay:
    @pytest.mark.parametrize("offset", [0, 1, 37])
    def test_flags_a_pattern_that_comes_again_wherever_it_begins(self, offset: int) -> None:
        growths = [*NOISE[: 300 + offset], *NOISE[64:300]]
        (flag,) = judged(steps(growths), Role.USE)
        assert flag.code == "replay"
        assert flag.seq <= 300 + offset + 2 * 64
        assert "grow exactly as" in flag.reason

    def test_leaves_a_cycle_of_few_values_alone(self) -> None:
        assert judged(steps([0, 0, 1, 2, 2, 1] * 200), Role.USE) == []

    def test_leaves_noise_alone(self) -> None:
        assert judged(steps(NOISE), Role.USE) == []


class TestGap:
    def test_flags_use_that_nobody_saw(self) -> None:
        life = chain(steps(NOISE[:5]), [Step(601, (9_000,))], steps(NOISE[:5]))
        (flag,) = judged(life, Role.USE)
        assert (flag.seq, flag.code) == (6, "gap")
        assert flag.reason.startswith("no reading for 601 s, in which the counters grew by [9000]")

    @pytest.mark.parametrize("silence", [Step(600, (9_000,)), Step(10_000, (0,))])
    def test_leaves_a_short_or_an_idle_silence_alone(self, silence: Step) -> None:
        assert judged(chain(steps(NOISE[:5]), [silence]), Role.USE) == []

    def test_leaves_a_suspended_machine_alone(self) -> None:
        readings = list(readings_of(chain(steps(NOISE[:5]), [Step(5_000, (1,))]), 1))
        sample = readings[5].sample.model_copy(update={"event": ReadingEvent.SUSPEND})
        readings[5] = readings[5].model_copy(update={"sample": sample})
        assert Watch((Role.USE,), SHORT).take(readings)[0] == []


class TestRebootStorm:
    def test_flags_the_fifth_restart_within_an_hour(self) -> None:
        life = (Step(60, (grown,), boot=at // 10) for at, grown in enumerate(NOISE[:60]))
        (flag,) = judged(life, Role.USE)
        assert (flag.seq, flag.code) == (51, "reboot_storm")
        assert flag.reason == "the device began 5 times in 3600 s, 5 are too many"

    def test_leaves_a_restart_each_hour_alone(self) -> None:
        life = (Step(360, (grown,), boot=at // 10) for at, grown in enumerate(NOISE[:150]))
        assert judged(life, Role.USE) == []


class TestPieces:
    @settings(max_examples=30, deadline=None)
    @given(pieces=st.integers(1, 200), offset=st.integers(0, 60))
    def test_the_same_readings_give_the_same_flags_in_whatever_pieces(self, pieces: int, offset: int) -> None:
        growths = [*NOISE[: 200 + offset], *[NOISE[3]] * 60, *NOISE[64:200]]
        whole = judged(steps(growths), Role.USE)
        assert {flag.code for flag in whole} == {"flat_run", "replay"}
        assert set(judged(steps(growths), Role.USE, pieces=pieces)) == set(whole)


class TestHonestMachines:
    @pytest.mark.parametrize("name", MACHINES)
    def test_are_not_flagged(self, name: str) -> None:
        assert not flags_of(MACHINES[name], random.Random(1), most=4_000)

    def test_nor_is_the_trace_that_we_ship(self) -> None:
        assert not flags_of(trace_machine(SHIPPED, "power_W"), random.Random(1))


def test_a_watch_is_small_enough_to_be_written_again_and_again() -> None:
    readings: list[Reading] = list(readings_of(steps(NOISE), 1))
    watch = Watch((Role.USE,), SHORT)
    watch.take(readings)
    assert len(json.dumps(watch.to_json())) < 4_000
