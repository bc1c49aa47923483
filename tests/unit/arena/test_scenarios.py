"""The arena's scenarios: the same for everybody, and with the zone of agreement they promise."""

from loadtests.arena.scenarios import (
    HOPELESS_SEEDS,
    REPORT_SEEDS,
    TUNING_SEEDS,
    with_zone,
    without_zone,
)


class TestScenarios:
    def test_are_the_same_for_the_same_seed(self) -> None:
        with_zone.cache_clear()
        first = with_zone(7)
        with_zone.cache_clear()

        assert with_zone(7) == first

    def test_have_a_zone_of_agreement_or_none_as_asked(self) -> None:
        assert with_zone(7).has_zone
        assert not without_zone(7).has_zone

    def test_give_a_side_all_of_its_advantage_in_its_best_outcome_alone(self) -> None:
        scenario = with_zone(7)
        best = tuple(table.index(max(table)) for table in scenario.utilities[0].worths)

        assert round(scenario.advantage(0, best), 9) == 1

    def test_are_reported_on_seeds_that_nothing_was_tuned_on(self) -> None:
        assert len(REPORT_SEEDS) >= 30
        assert not {*TUNING_SEEDS} & {*REPORT_SEEDS, *HOPELESS_SEEDS}
