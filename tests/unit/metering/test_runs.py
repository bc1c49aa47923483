"""Runs of readings as rows: in which minutes they were taken, and what is found in them."""

import json
from datetime import timedelta
from typing import Any

import pytest

from hireling.rental.batch import batch_wire
from hireling.rental.reading import ClockQuality, Reading, measured
from services.metering.runs import hashes_between, minutes_of, readings_in
from tests.builders import NOW, a_reading_chain

START_AT = int(NOW.timestamp())
MINUTE = START_AT // 60 * 60
LATER = NOW + timedelta(days=1)


def at_seconds(*seconds: int, **of_sample: Any) -> list[Reading]:
    """Return readings taken so many seconds after the agreed start, by the device's clock."""
    chain = a_reading_chain(max(2, len(seconds)))[: len(seconds)]
    return [
        signed.reading.model_copy(
            update={
                "sample": signed.reading.sample.model_copy(
                    update={"wall_ms": (START_AT + second) * 1_000, **of_sample}
                )
            }
        )
        for signed, second in zip(chain, seconds, strict=True)
    ]


def stretches(readings: list[Reading], **changes: Any) -> list[tuple[int, int, int]]:
    """Return minute (counted from the agreed start's), first and last number of each stretch."""
    found = json.loads(
        minutes_of(list(map(measured, readings)), **{"start_at": START_AT, "received_at": LATER, **changes})
    )
    return [((minute - MINUTE) // 60, first, last) for minute, first, last, *_ in found]


class TestMinutes:
    def test_of_one_minute_are_one_stretch(self) -> None:
        assert stretches(at_seconds(0, 20, 59)) == [(0, 0, 2)]

    def test_are_told_apart_where_a_minute_ends(self) -> None:
        assert stretches(at_seconds(58, 59, 60, 61, 200)) == [(0, 0, 1), (1, 2, 3), (3, 4, 4)]

    def test_come_twice_where_the_clock_was_set_back(self) -> None:
        assert stretches(at_seconds(50, 70, 40)) == [(0, 0, 0), (1, 1, 1), (0, 2, 2)]

    def test_carry_the_first_and_the_last_state_of_each_stretch(self) -> None:
        readings = at_seconds(10, 20, 30)
        [[_, _, _, first_due, first, last_due, last]] = json.loads(
            minutes_of(list(map(measured, readings)), start_at=START_AT, received_at=LATER)
        )
        assert (first_due, first) == (str(readings[0].amount_due), ["0", "0"])
        assert (last_due, last) == (
            str(readings[2].amount_due),
            [str(counter) for counter in readings[2].sample.counters],
        )

    def test_keep_counters_that_no_integer_of_a_database_holds(self) -> None:
        [reading] = at_seconds(10, counters=(2**256 - 1, 0))
        [stretch] = json.loads(minutes_of([measured(reading)], start_at=START_AT, received_at=LATER))
        assert stretch[4] == [str(2**256 - 1), "0"]

    def test_of_a_clock_that_is_not_set_are_the_arrival_s(self) -> None:
        readings = at_seconds(10, 70, clock=ClockQuality.UNSYNCHRONISED)
        assert stretches(readings, received_at=NOW + timedelta(minutes=7)) == [(7, 0, 1)]

    def test_never_lie_after_the_arrival(self) -> None:
        assert stretches(at_seconds(10, 3_600), received_at=NOW + timedelta(minutes=2)) == [
            (0, 0, 0),
            (2, 1, 1),
        ]

    @pytest.mark.parametrize(("seconds", "minute"), [(-86_400, -1_440), (-86_401, 3)])
    def test_lie_at_most_a_day_before_the_agreed_start(self, seconds: int, minute: int) -> None:
        readings = at_seconds(seconds)
        assert stretches(readings, received_at=NOW + timedelta(minutes=3)) == [(minute, 0, 0)]


class TestRuns:
    def test_give_back_every_reading_with_its_own_signature(self) -> None:
        chain = a_reading_chain(5)
        document = batch_wire([signed.model_dump_json() for signed in chain])
        assert readings_in(document) == [signed.model_dump(mode="json") for signed in chain]

    @pytest.mark.parametrize(
        ("first", "last", "places"),
        [(0, 99, "abcd"), (10, 13, "abcd"), (12, 12, "c"), (13, 20, "d"), (14, 20, ""), (0, 9, "")],
    )
    def test_have_the_hashes_of_a_range(self, first: int, last: int, places: str) -> None:
        hashes = b"".join(letter.encode() * 32 for letter in "abcd")
        assert hashes_between(10, hashes, first, last) == [place.encode() * 32 for place in places]
