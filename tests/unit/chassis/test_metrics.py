"""services.chassis.metrics: names, labels, and the page that lists them."""

import re

import pytest

from services.chassis import metrics
from services.chassis.counts import outcome_of
from services.chassis.metrics import DEFINED, LABELS, counter, gauge
from services.embedded import metrics_page
from services.messages.errors import Conflict, Invalid, OperatorError, OutcomeUnknown, Unavailable


class TestDefinitions:
    def test_refuses_a_label_that_may_have_values_without_end(self) -> None:
        with pytest.raises(ValueError, match="rental_id"):
            gauge("hireling_chassis_example", "An example.", "rental_id")

    def test_refuses_a_counter_that_does_not_say_so(self) -> None:
        with pytest.raises(ValueError, match="_total"):
            counter("hireling_chassis_examples", "An example.")

    def test_are_named_by_their_folder_and_labelled_from_the_list(self) -> None:
        metrics_page.table()
        assert len(DEFINED) > 25
        for metric in DEFINED:
            assert re.fullmatch(
                r"hireling_(chassis|gateway|listing|metering|negotiation|settlement)_[a-z_]+", metric.name
            )
            assert set(metric.labels) <= LABELS
            assert metric.description.endswith(".")


class TestOutcomes:
    @pytest.mark.parametrize(
        ("error", "outcome"),
        [
            (None, "done"),
            (Invalid("x", "y"), "refused"),
            (Conflict("x", "y"), "refused"),
            (Unavailable("x", "y"), "unavailable"),
            (OutcomeUnknown("x", "y"), "unknown"),
            (OperatorError("x", "y"), "failed"),
            (ZeroDivisionError(), "failed"),
        ],
    )
    def test_are_what_callers_must_tell_apart(self, error: BaseException | None, outcome: str) -> None:
        assert outcome_of(error) == outcome


class TestServing:
    def test_is_off_unless_a_port_is_set(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.delenv("LISTING_METRICS_PORT", raising=False)
        assert metrics.serve_metrics("listing") is None


class TestThePage:
    def test_lists_the_metrics_there_are(self) -> None:
        assert metrics_page.main(["--check"]) == 0

    def test_without_its_marks_is_refused(self) -> None:
        with pytest.raises(ValueError, match="lacks"):
            metrics_page.with_table("# Metrics\n")
