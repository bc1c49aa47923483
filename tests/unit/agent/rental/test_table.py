"""An agenda's outcomes as the terms of offers, and back."""

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from hireling.rental.agenda import MOST_COMBINATIONS, Agenda
from hireling.rental.errors import OfferRefused
from hireling.rental.table import Table
from hireling.rental.tariff import amounts, scaled, worst_case
from tests.builders import NOW, a_listing, a_request, a_tariff

START = int(NOW.timestamp())
AGENDA = Agenda(
    price=(100, 90, 75),
    duration=(100, 50),
    start=(0, 900, 3_600),
    deposit=(100, 20),
    cap=(100, 80),
)
outcomes = st.tuples(*(st.integers(0, len(values) - 1) for values in AGENDA.issues.values()))


def a_table(**changes: Any) -> Table:
    """Return a table over all five issues."""
    listing = a_listing(agenda=AGENDA)
    return Table(listing=listing, request=a_request(listing=listing, **changes))


class TestAgenda:
    @pytest.mark.parametrize(
        "values",
        [
            {"price": (90, 80)},
            {"price": (100, 100)},
            {"price": (100, 0)},
            {"price": (100, 101)},
            {"start": (900,)},
            {"rounds": 0},
            {"rounds": 101},
            {"duration": ()},
            {"price": tuple(range(100, 0, -1)), "duration": tuple(range(100, 0, -1)), "cap": (100, 50, 20)},
        ],
    )
    def test_refuses_values_that_nobody_could_bargain_over(self, values: dict[str, Any]) -> None:
        with pytest.raises(ValidationError):
            Agenda(**values)

    def test_has_eight_rounds_and_the_price_alone_unless_told_otherwise(self) -> None:
        agenda = Agenda()
        assert agenda.rounds == 8
        assert agenda.combinations == len(agenda.price) == 51 <= MOST_COMBINATIONS


class TestTable:
    @given(outcome=outcomes)
    def test_finds_every_outcome_again_in_its_terms(self, outcome: tuple[int, ...]) -> None:
        table = a_table()
        assert table.outcome(table.terms(outcome)) == outcome

    @given(outcome=outcomes, budget=st.integers(0, 10**6))
    def test_never_lets_the_price_above_the_budget(self, outcome: tuple[int, ...], budget: int) -> None:
        table = a_table(budget=budget)
        terms = table.terms(outcome)
        found = amounts(terms.tariff, terms.seconds, terms.budget, 60)
        assert found["max_total"] <= budget
        # Some of them are the same terms; whichever is found, it says the same.
        assert table.terms(table.outcome(terms)) == terms

    def test_says_an_outcome_in_the_offer_s_words(self) -> None:
        terms = a_table().terms((1, 1, 2, 1, 1))
        assert terms.tariff == scaled(a_tariff(), 90, 100)
        assert (terms.seconds, terms.start_at, terms.deposit) == (300, START + 3_600, 2_000)
        assert terms.budget == -(-worst_case(terms.tariff, 300) * 80 // 100)

    @pytest.mark.parametrize(
        ("changes", "issue"),
        [
            ({"tariff": scaled(a_tariff(), 89, 100)}, "price"),
            ({"tariff": a_tariff(minimum=0)}, "price"),
            ({"seconds": 301}, "duration"),
            ({"start_at": START + 1_800}, "start"),
            ({"deposit": 1}, "deposit"),
            ({"budget": 1}, "cap"),
        ],
    )
    def test_refuses_terms_that_are_not_on_the_agenda(self, changes: dict[str, Any], issue: str) -> None:
        terms = replace(a_table().terms((0, 0, 0, 0, 0)), **changes)
        with pytest.raises(OfferRefused, match=f"the offer's {issue} is none") as refusal:
            a_table().outcome(terms)
        assert refusal.value.code == "off_agenda"
