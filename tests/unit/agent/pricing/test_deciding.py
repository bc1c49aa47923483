"""The pricing agent's decisions: what holds for any history, and what it does with plain ones."""

from dataclasses import replace
from datetime import timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hireling.pricing.deciding import Decision, Keep, Move, PriceView, decide
from hireling.pricing.history import History, Hour, kept
from hireling.pricing.learning import learn
from hireling.pricing.phrases import reason_for
from hireling.pricing.rules import HOUR
from tests.unit.agent.pricing.views import LISTED, NOW, RULES, hours, views


def decided(history: tuple[Hour, ...], *, price: int = LISTED, hour: int = 0) -> Decision:
    """Return the decision after a history that ended at the midnight before, under the plain rules."""
    midnight = NOW.replace(hour=0)
    moved = tuple(replace(row, at=row.at - (NOW - midnight)) for row in history)
    return decide(PriceView(RULES, midnight + hour * HOUR, price, History(moved)))


# Each decision learns anew from its own history.
few = settings(deadline=None, max_examples=25)


class TestAnyDecision:
    @few
    @given(views())
    def test_stays_within_the_owner_s_bounds_and_step(self, view: PriceView) -> None:
        decision = decide(view)

        to = decision.record.to
        assert view.rules.floor <= to <= view.rules.ceiling
        assert abs(to - view.price) <= view.rules.step
        assert isinstance(decision, Move) == (to != view.price)

    @few
    @given(views())
    def test_is_the_same_twice(self, view: PriceView) -> None:
        again = PriceView(
            view.rules,
            view.now,
            view.price,
            History(tuple(view.history.hours)),
            view.moved_at,
            view.at_the_table,
        )
        learn.cache_clear()

        assert decide(again) == decide(view)

    @few
    @given(views())
    def test_never_comes_before_the_least_time_nor_while_somebody_is_at_the_table(
        self, view: PriceView
    ) -> None:
        if isinstance(decide(view), Move):
            assert view.moved_at is None or view.now - view.moved_at >= view.rules.least_between
            assert not view.at_the_table

    @few
    @given(views())
    def test_gives_no_discount_outside_the_preferred_hours(self, view: PriceView) -> None:
        place = view.rules.hour_of_week(view.now)
        if view.rules.preferred and place not in view.rules.preferred:
            decision = decide(view)

            assert (
                not isinstance(decision, Move) or decision.to > view.price or decision.to >= view.rules.listed
            )

    @few
    @given(views())
    def test_says_why(self, view: PriceView) -> None:
        record = decide(view).record

        assert record.inputs == view.fingerprint
        assert record.rule in reason_for(record, str)

    @few
    @given(views(), st.integers(1, 10**6))
    def test_depends_on_all_that_its_hash_is_of(self, view: PriceView, more: int) -> None:
        wider = replace(view, rules=replace(view.rules, ceiling=view.rules.ceiling + more))

        assert wider.fingerprint != view.fingerprint


class TestDecide:
    def test_leaves_a_new_machine_where_its_owner_listed_it(self) -> None:
        decision = decide(PriceView(RULES, NOW, LISTED, History(hours(10))))

        assert isinstance(decision, Keep)
        assert decision.record.rule == "too little was seen yet"

    def test_asks_more_of_a_machine_that_is_asked_for_all_the_time(self) -> None:
        crowd = hours(24 * 14, questions=3, agreed=(LISTED,), busy_seconds=3000)

        decision = decided(crowd)

        assert isinstance(decision, Move)
        assert decision.to == LISTED + RULES.step
        assert decision.record.rule == "demand carries more"

    def test_asks_less_where_renters_would_have_paid_a_little_less(self) -> None:
        """Their last offers were a fifth under the price, and nobody takes it."""
        decision = decided(hours(24 * 14, questions=1, lost=(LISTED * 4 // 5,)))

        assert isinstance(decision, Move)
        assert decision.to == LISTED - RULES.step
        assert decision.record.rule == "a lower price earns more"

    def test_comes_to_rest(self) -> None:
        """The same history again and again leads to a price that it stays at."""
        crowd = hours(24 * 14, questions=1, agreed=(LISTED,), busy_seconds=1800)
        price, seen = LISTED, []
        for _ in range(40):
            decision = decided(crowd, price=price)
            price = decision.record.to
            seen.append(price)

        assert seen[-1] == seen[-20]

    def test_asks_more_before_a_busy_evening_than_in_the_night(self) -> None:
        rows = tuple(
            replace(hour, questions=4, agreed=(LISTED,) * 2, busy_seconds=3000, idle_seconds=600)
            if 17 <= (hour.at - timedelta(hours=12)).hour < 21
            else hour
            for hour in hours(24 * 21)
        )
        evening, night = decided(rows, hour=18), decided(rows, hour=2)
        assert evening.record.parts is not None
        assert night.record.parts is not None

        assert evening.record.parts.usual > 4 * night.record.parts.usual
        assert evening.record.parts.best > night.record.parts.best

    def test_holds_while_the_clock_is_behind_the_last_change(self) -> None:
        crowd = History(hours(24 * 14, questions=3, agreed=(LISTED,), busy_seconds=3000))
        view = PriceView(RULES, NOW, LISTED, crowd, moved_at=NOW + timedelta(hours=5))

        assert isinstance(decide(view), Keep)

    def test_refuses_a_price_beyond_the_bounds(self) -> None:
        with pytest.raises(ValueError, match="is not from"):
            PriceView(RULES, NOW, RULES.ceiling + 1)


class TestKept:
    def test_forgets_what_is_too_old_and_what_is_yet_to_come(self) -> None:
        ahead = Hour(at=NOW + 5 * HOUR, price=1)
        old = Hour(at=NOW - timedelta(weeks=9), price=1)
        new = hours(3)

        assert kept([ahead, *new, old], NOW) == History(new)
