"""Settlement prices every reading itself."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hireling.rental.errors import ReadingRefused
from hireling.rental.reading import Reading
from hireling.rental.tariff import price
from services.settlement.repricing import check_amount
from tests.builders import a_reading_chain, a_tariff

TARIFF = a_tariff()
PLENTY = 10**20


def reading_of(*, counters: tuple[int, ...], amount_due: int) -> Reading:
    """Return a reading that asks this for these counters."""
    reading = a_reading_chain(3)[1].reading
    sample = reading.sample.model_copy(update={"counters": counters})
    return reading.model_copy(update={"sample": sample, "amount_due": amount_due})


class TestCheckAmount:
    @given(st.tuples(st.integers(0, 10**18), st.integers(0, 10**18)))
    def test_takes_exactly_what_the_tariff_makes(self, counters: tuple[int, int]) -> None:
        due = price(TARIFF, counters)
        check_amount(TARIFF, max_total=PLENTY, reading=reading_of(counters=counters, amount_due=due))

    @given(st.tuples(st.integers(0, 10**18), st.integers(0, 10**18)), st.integers(1, 10**6))
    def test_refuses_every_base_unit_above(self, counters: tuple[int, int], more: int) -> None:
        reading = reading_of(counters=counters, amount_due=price(TARIFF, counters) + more)
        with pytest.raises(ReadingRefused) as refused:
            check_amount(TARIFF, max_total=PLENTY, reading=reading)
        assert refused.value.code == "amount_above_tariff"

    def test_refuses_below_since_no_bill_could_follow_from_it(self) -> None:
        counters = (3_600_000_000, 1_000)
        reading = reading_of(counters=counters, amount_due=price(TARIFF, counters) - 1)
        with pytest.raises(ReadingRefused) as refused:
            check_amount(TARIFF, max_total=PLENTY, reading=reading)
        assert refused.value.code == "malformed"

    def test_takes_the_total_where_the_tariff_makes_more(self) -> None:
        counters = (3_600_000_000, 1_000)
        total = price(TARIFF, counters) - 10
        check_amount(TARIFF, max_total=total, reading=reading_of(counters=counters, amount_due=total))

    def test_refuses_other_counters_than_the_tariff_has(self) -> None:
        with pytest.raises(ReadingRefused) as refused:
            check_amount(TARIFF, max_total=PLENTY, reading=reading_of(counters=(1,), amount_due=50))
        assert refused.value.code == "malformed"
