"""What a load makes of arrivals, of what was measured, and of its budgets."""

import math
from pathlib import Path

import pytest

from loadtests.load.arrivals import arrivals
from loadtests.load.budgets import judged
from loadtests.load.figures import calls, percentile, slowest_call


class TestArrivals:
    def test_come_in_the_proportions_of_the_file_whatever_the_day(self, tmp_path: Path) -> None:
        file = tmp_path / "sessions.csv"
        # Three of four within the first tenth of the day's span, on different days.
        minutes = [600, 605 + 1440, 610 + 2880, 700]
        file.write_text("arrival_minute,station\n" + "".join(f"{minute},x\n" for minute in minutes))
        coming = arrivals(file, 100, seconds=100)
        assert coming == sorted(coming)
        assert coming[0] >= 0
        assert coming[-1] <= 100
        assert 60 <= sum(1 for at in coming if at <= 10) <= 70

    def test_take_times_as_well_as_minutes(self, tmp_path: Path) -> None:
        file = tmp_path / "sessions.csv"
        file.write_text("arrival\n2026-03-01T08:00:00\n2026-03-02T09:30:30\n")
        assert arrivals(file, 2, seconds=4) == [1.0, 3.0]

    def test_a_file_without_arrivals_says_so(self, tmp_path: Path) -> None:
        file = tmp_path / "other.csv"
        file.write_text("time,power\n1,2\n")
        with pytest.raises(ValueError, match="no column of arrivals"):
            arrivals(file, 1, seconds=1)

    def test_our_own_day_has_a_morning_and_a_quiet_night(self) -> None:
        coming = arrivals(None, 1000, seconds=24)
        assert sum(1 for at in coming if 7 <= at <= 10) > 5 * sum(1 for at in coming if 1 <= at <= 4)


class TestFigures:
    def test_a_percentile_counts_every_part_and_only_the_named_kind(self) -> None:
        slow = {"kind": "GET", "name": "/a", "times_ms": {"10": 9, "500": 1}}
        other = {"kind": "RENTAL", "name": "/a", "times_ms": {"9000": 50}}
        reports = [{"entries": [slow, other]}, {"entries": [slow]}]
        assert percentile(reports, 0.90, kinds={"GET"}) == 10
        assert percentile(reports, 0.95, kinds={"GET"}) == 500

    def test_the_slowest_calls_lie_within_their_bucket(self) -> None:
        name = "hireling_chassis_rpc_called_seconds_bucket"
        lines = [f'{name}{{le="{limit}",method="m",service="s"}} {count}' for limit, count in
                 (("0.1", 90), ("0.5", 100), ("+Inf", 100))]  # fmt: skip
        after = calls("\n".join(lines))
        assert after == {0.1: 90.0, 0.5: 100.0, math.inf: 100.0}
        assert slowest_call({}, after, 0.95) == pytest.approx(300)
        assert slowest_call(after, after, 0.99) == 0.0


class TestBudgets:
    def test_a_figure_beyond_its_budget_does_not_hold(self) -> None:
        figures = {"errors": 1.0, "books_wrong": 0.0, "rentals_per_minute": 59.0, "search_p95_ms": 100.0}
        verdict = {line.name: line.holds for line in judged(figures, budgets="load")}
        assert verdict == {
            "errors": False,
            "books_wrong": True,
            "search_p95_ms": True,
            "rentals_per_minute": False,
        }
