"""What one side wants, and what it learns of the other."""

from dataclasses import replace
from typing import Any

import pytest

from hireling.bargaining.opponent import estimate_of
from hireling.bargaining.outcomes import space_of
from hireling.bargaining.preferences import (
    MOST_OUTCOMES,
    AdditiveUtility,
    Issue,
    additive,
    falling,
    rising,
)
from hireling.bargaining.session import SessionView
from tests.unit.agent.bargaining.sessions import issues_of

PRICE_AND_START = additive([3, 1], [rising(5), falling(4)])


def a_view(**changes: Any) -> SessionView:
    """Return an opening, with changes."""
    opening = SessionView(issues=issues_of([5, 4]), utility=PRICE_AND_START, reservation=0.2, deadline=10)
    return replace(opening, **changes)


class TestAdditiveUtility:
    def test_is_one_for_the_best_and_nothing_for_the_worst(self) -> None:
        assert PRICE_AND_START.of((4, 0)) == 1
        assert PRICE_AND_START.of((0, 3)) == 0

    def test_adds_what_each_issue_gives(self) -> None:
        assert PRICE_AND_START.parts((2, 3)) == (0.375, 0)

    def test_bends_a_curve_by_its_power(self) -> None:
        assert rising(3, power=2) == (0, 0.25, 1)
        assert falling(3) == (1, 0.5, 0)

    def test_gives_no_weight_to_an_issue_whose_values_are_alike(self) -> None:
        assert additive([1, 1], [rising(3), (0.7, 0.7)]).weights == (1, 0)

    def test_refuses_to_bargain_about_nothing(self) -> None:
        with pytest.raises(ValueError, match="nothing to bargain about"):
            additive([1, 1], [(1, 1), (0.7, 0.7)])

    def test_refuses_weights_that_do_not_sum_to_one(self) -> None:
        with pytest.raises(ValueError, match="sum to"):
            AdditiveUtility(weights=(0.5, 0.4), worths=((0, 1), (0, 1)))


class TestSessionView:
    def test_knows_whose_offers_are_whose(self) -> None:
        view = a_view(offers=((4, 0), (0, 3), (3, 0)))

        assert view.theirs == ((4, 0), (3, 0))
        assert view.ours == ((0, 3),)

    def test_counts_the_offers_that_can_still_be_answered(self) -> None:
        assert [a_view(deadline=deadline).turns_left for deadline in (1, 2, 3, 4)] == [0, 1, 1, 2]

    @pytest.mark.parametrize(
        ("changes", "complaint"),
        [
            ({"reservation": 1.1}, "reservation"),
            ({"deadline": 0}, "past the deadline"),
            ({"offers": ((5, 0),)}, "no outcome"),
            ({"issues": issues_of([5, 3])}, "other issues"),
        ],
    )
    def test_refuses_a_view_that_contradicts_itself(self, changes: dict[str, object], complaint: str) -> None:
        with pytest.raises(ValueError, match=complaint):
            a_view(**changes)

    def test_refuses_more_outcomes_than_it_can_weigh(self) -> None:
        sizes = [MOST_OUTCOMES, 2]
        utility = additive([1, 1], [rising(size) for size in sizes])

        with pytest.raises(ValueError, match="outcomes are more than"):
            a_view(issues=issues_of(sizes), utility=utility)

    def test_has_another_fingerprint_once_anything_differs(self) -> None:
        others = [a_view(reservation=0.3), a_view(deadline=9), a_view(offers=((0, 0),))]

        assert len({view.fingerprint for view in [a_view(), a_view(), *others]}) == 4

    def test_refuses_an_issue_that_has_a_value_twice(self) -> None:
        with pytest.raises(ValueError, match="each of them once"):
            Issue("start", ("now", "now"))


class TestOutcomeSpace:
    def test_finds_the_least_that_meets_a_level(self) -> None:
        space = space_of(PRICE_AND_START)

        found = space.utilities[space.at_least(0.5)]

        assert found == min(worth for worth in space.utilities if worth >= 0.5)

    def test_offers_its_best_where_nothing_meets_a_level(self) -> None:
        space = space_of(PRICE_AND_START)

        assert space.outcomes[space.at_least(2)] == space.best == (4, 0)


class TestEstimate:
    def test_believes_nothing_before_the_first_offer(self) -> None:
        assert estimate_of(a_view()) is None

    def test_takes_the_other_side_to_want_what_it_keeps_asking_for(self) -> None:
        view = a_view(offers=((0, 1), (4, 0), (0, 2), (4, 1), (0, 3)))

        believed = estimate_of(view)

        assert believed is not None
        price, start = believed.utility.weights
        assert price > start
        assert max(range(5), key=believed.utility.worths[0].__getitem__) == 0
        assert believed.first_demand > believed.utility.of((4, 0))
