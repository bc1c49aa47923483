"""Bargaining: nobody goes below its limit, and no cut hides in a single rate."""

from hypothesis import given
from hypothesis import strategies as st

from hireling.bargaining.concession import (
    LAST_ROUND,
    Accept,
    Counter,
    Leave,
    owner_reply,
    owner_target_percent,
    renter_reply,
    share_of,
)
from hireling.rental.tariff import scaled
from tests.unit.agent.rentals import ENERGY


class TestOwner:
    @given(floor=st.integers(1, 100), percent=st.integers(1, 120), half=st.integers(0, 3))
    def test_never_accepts_or_asks_less_than_its_floor(self, floor: int, percent: int, half: int) -> None:
        offered = scaled(ENERGY, percent, 100)

        decision = owner_reply(listed=ENERGY, offered=offered, floor_percent=floor, round_number=2 * half + 1)

        if isinstance(decision, Accept):
            assert share_of(ENERGY, offered) * 100 >= floor
        elif isinstance(decision, Counter):
            assert decision.percent >= floor

    def test_gives_way_from_the_listed_price_to_the_floor(self) -> None:
        asked = [owner_target_percent(floor_percent=80, round_number=n) for n in range(0, LAST_ROUND + 1, 2)]

        assert asked == [100, 95, 90, 85, 80]

    def test_leaves_below_the_floor_in_the_last_round(self) -> None:
        decision = owner_reply(
            listed=ENERGY, offered=scaled(ENERGY, 79, 100), floor_percent=80, round_number=LAST_ROUND - 1
        )

        assert isinstance(decision, Leave)

    def test_sees_a_cut_in_one_component(self) -> None:
        cheap_use = ENERGY.model_copy(update={"rates": scaled(ENERGY, 1, 2).rates, "flat": ENERGY.flat * 2})

        assert share_of(ENERGY, cheap_use) * 2 == 1

    def test_sees_a_maximum_that_was_slipped_in(self) -> None:
        assert share_of(ENERGY, ENERGY.model_copy(update={"maximum": 10**12})) == 0

    def test_sees_a_rate_that_was_taken_out(self) -> None:
        assert share_of(ENERGY, ENERGY.model_copy(update={"rates": ()})) == 0


class TestRenter:
    def test_asks_for_less_once_then_takes_what_fits(self) -> None:
        first = renter_reply(all_in=100, budget=100, counters_made=0, counters_wanted=1, opening_percent=90)
        then = renter_reply(all_in=100, budget=100, counters_made=1, counters_wanted=1, opening_percent=90)

        assert isinstance(first, Counter)
        assert first.percent == 90
        assert isinstance(then, Accept)

    def test_leaves_above_its_budget(self) -> None:
        decision = renter_reply(
            all_in=101, budget=100, counters_made=1, counters_wanted=1, opening_percent=90
        )

        assert isinstance(decision, Leave)
