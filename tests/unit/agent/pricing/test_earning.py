"""The price that is expected to earn most: it rises and falls with what it should."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hireling.pricing.earning import Prospect, recent_factor, usual_demand
from hireling.pricing.history import History, Hour
from hireling.pricing.learning import Response, learn
from hireling.pricing.rules import HOUR, PriceRules
from tests.unit.agent.pricing.views import LISTED, NOW, RULES, hours

# Most of those who ask take the listed price, and half of them one a fifth higher.
RESPONSE = Response(asking=((0.5, 1.0),), taking=((1.2, 5.0, 1.0),))
# Numbers so small that their own grain decides are nobody's demand.
demands = st.just(0.0) | st.floats(1e-9, 50)
spans = st.floats(0.01, 48)


def best(demand: float, span: float, rules: PriceRules = RULES) -> int:
    """Return the best price under these circumstances."""
    return Prospect(demand, span, RESPONSE).best(rules, least=rules.floor)


class TestBest:
    @settings(deadline=None)
    @given(demands, demands, spans)
    def test_never_falls_as_more_ask(self, one: float, other: float, span: float) -> None:
        assert best(min(one, other), span) <= best(max(one, other), span)

    @settings(deadline=None)
    @given(demands, spans, spans)
    def test_never_falls_as_rentals_take_longer(self, demand: float, one: float, other: float) -> None:
        assert best(demand, min(one, other)) <= best(demand, max(one, other))

    @settings(deadline=None)
    @given(demands, spans, st.integers(LISTED, 10**6), st.integers(1, LISTED))
    def test_is_within_any_bounds(self, demand: float, span: float, ceiling: int, floor: int) -> None:
        rules = replace(RULES, floor=floor, ceiling=ceiling)

        assert floor <= best(demand, span, rules) <= ceiling

    def test_without_anybody_to_lose_is_the_markup_of_exponential_demand(self) -> None:
        """The best price of exp(-b p / listed) is listed / b."""
        steep = Response(asking=((1.25, 1.0),), taking=((100.0, 1.0, 1.0),))

        found = Prospect(0.001, 0.01, steep).best(RULES, least=RULES.floor)

        assert found == pytest.approx(LISTED / 1.25, abs=LISTED // 100)


class TestRecentFactor:
    USUAL = learn(History(hours(24 * 14, questions=1)), RULES)

    def test_is_about_one_where_the_day_was_usual(self) -> None:
        assert recent_factor(self.USUAL, RULES, History(hours(24, questions=1)), NOW) == pytest.approx(
            1, abs=0.05
        )

    @given(st.integers(0, 24))
    def test_falls_the_longer_nobody_asks(self, idle: int) -> None:
        shorter, longer = (History(hours(number)) for number in (idle, idle + 1))

        assert (
            recent_factor(self.USUAL, RULES, longer, NOW) < recent_factor(self.USUAL, RULES, shorter, NOW)
            or idle == 24
        )

    def test_does_not_mind_the_time_in_use(self) -> None:
        busy = History(hours(24, busy_seconds=3600))

        assert recent_factor(self.USUAL, RULES, busy, NOW) == 1.0


class TestLearn:
    def test_draws_a_rare_hour_to_the_others(self) -> None:
        once = (Hour(at=NOW - 24 * HOUR, price=LISTED, idle_seconds=3600, questions=5),)
        learned = learn(History(once), RULES)
        place = RULES.hour_of_week(once[0].at)

        assert learned.rates[place] < 2.5
        assert learned.rates[place] > learned.rates[(place + 1) % 168] > 0

    def test_knows_that_a_price_that_drives_askers_away_is_steep(self) -> None:
        dear = hours(24 * 7, price=600_000, questions=0)
        fair = hours(24 * 7, questions=1, until=NOW - timedelta(weeks=1))
        alike = hours(24 * 7, price=600_000, questions=1)

        steep, flat = (learn(History((*fair, *late)), RULES).response for late in (dear, alike))

        assert steep.asks(0.5) < 0.2 < flat.asks(0.5)

    def test_takes_a_last_offer_for_what_somebody_would_pay(self) -> None:
        near = learn(History(hours(100, questions=1, lost=(380_000,))), RULES).response
        far = learn(History(hours(100, questions=1, lost=(200_000,))), RULES).response

        assert near.takes(-0.1) > 0.5 > far.takes(-0.1)

    def test_counts_local_hours_across_a_change_of_summer_time(self) -> None:
        rules = replace(RULES, zone=ZoneInfo("Europe/Berlin"))
        winter, summer = datetime(2026, 3, 28, 19, tzinfo=UTC), datetime(2026, 4, 4, 18, tzinfo=UTC)

        assert rules.hour_of_week(winter) == rules.hour_of_week(summer) == 5 * 24 + 20


class TestUsualDemand:
    def test_is_weighed_by_the_time_in_each_hour(self) -> None:
        learned = replace(learn(History(), RULES), rates=tuple(float(place) for place in range(168)))
        wednesday = RULES.hour_of_week(NOW)

        found = usual_demand(learned, RULES, NOW + timedelta(minutes=45))

        assert found == pytest.approx(wednesday * 0.25 + (wednesday + 1) * 0.75)
