"""A device's time: what overlaps, what may touch, and the next start that is free."""

from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hireling.rental.slot import Slot, end_by, next_start, slot_of

NOON = int(datetime(2026, 3, 1, 12, tzinfo=UTC).timestamp())
HOUR, QUARTER = 3_600, 900
slots = st.builds(
    lambda start, length: Slot(NOON + start, NOON + start + length),
    st.integers(0, 10 * HOUR),
    st.integers(1, 2 * HOUR),
)


class TestSlot:
    def test_neighbours_may_touch(self) -> None:
        one, next_one = Slot(NOON, NOON + HOUR), Slot(NOON + HOUR, NOON + 2 * HOUR)
        assert not one.overlaps(next_one)
        assert not next_one.overlaps(one)

    @pytest.mark.parametrize(
        ("start", "end"), [(-1, 1), (HOUR - 1, HOUR + 1), (10, 20), (-10, HOUR + 10), (0, HOUR)]
    )
    def test_overlaps_whatever_shares_a_second(self, start: int, end: int) -> None:
        assert Slot(NOON, NOON + HOUR).overlaps(Slot(NOON + start, NOON + end))
        assert Slot(NOON + start, NOON + end).overlaps(Slot(NOON, NOON + HOUR))

    def test_of_an_agreement_ends_with_the_turnaround_and_begins_no_earlier_than_now(self) -> None:
        now = datetime.fromtimestamp(NOON + 400, UTC)
        assert slot_of(start_at=NOON, ends=NOON + HOUR, turnaround=60, now=now) == Slot(
            NOON + 400, NOON + HOUR + 60
        )
        assert slot_of(start_at=NOON + HOUR, ends=NOON + 2 * HOUR, turnaround=0, now=now) == Slot(
            NOON + HOUR, NOON + 2 * HOUR
        )

    def test_a_rental_has_all_its_seconds_were_it_funded_at_the_last_moment(self) -> None:
        assert end_by(fund_by=NOON + QUARTER, start_at=NOON, seconds=60, grace=5) == NOON + QUARTER + 65
        assert end_by(fund_by=NOON + QUARTER, start_at=NOON + HOUR, seconds=60, grace=5) == NOON + HOUR + 65


class TestNextStart:
    @given(st.lists(slots, max_size=8), st.integers(0, 8 * HOUR), st.integers(1, 2 * HOUR))
    def test_is_the_first_free_quarter_of_an_hour(self, taken: list[Slot], after: int, length: int) -> None:
        def slot_at(start: int) -> Slot:
            return Slot(start, start + length)

        wanted = NOON + after
        found = next_start(taken, slot_at, after=wanted)
        starts = [wanted, *range(wanted + -wanted % QUARTER, NOON + 20 * HOUR, QUARTER)]
        free = [start for start in starts if not any(slot.overlaps(slot_at(start)) for slot in taken)]
        assert found == free[0]
