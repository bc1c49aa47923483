"""What must hold for any tariff and any counters."""

from fractions import Fraction

from hypothesis import given
from hypothesis import strategies as st

from hireling.rental.money import half_even
from hireling.rental.tariff import (
    Tariff,
    amounts,
    lines,
    max_rate_per_hour,
    price,
    scaled,
    tariff_hash,
    worst_case,
)
from tests.properties.rental.strategies import tariffs, tariffs_with_counters

Priced = tuple[Tariff, list[tuple[int, ...]]]


def exact(tariff: Tariff, counters: tuple[int, ...]) -> Fraction:
    """Return the exact sum of the rates' parts."""
    values = {spec.name: value for spec, value in zip(tariff.counters, counters, strict=True)}
    return sum((Fraction(rate.rate * values[rate.counter], rate.per) for rate in tariff.rates), Fraction(0))


class TestPrice:
    @given(tariffs_with_counters())
    def test_is_the_exact_sum_rounded_once_and_clamped(self, priced: Priced) -> None:
        tariff, (counters,) = priced
        # Python's own round() of a Fraction is half-even.
        expected = max(tariff.flat + round(exact(tariff, counters)), tariff.minimum)
        assert price(tariff, counters) == (
            expected if tariff.maximum is None else min(expected, tariff.maximum)
        )

    @given(tariffs_with_counters(steps=2))
    def test_never_falls_as_counters_grow(self, priced: Priced) -> None:
        tariff, (before, after) = priced
        assert price(tariff, before) <= price(tariff, after)

    @given(tariffs_with_counters())
    def test_is_the_sum_of_the_bill_s_lines(self, priced: Priced) -> None:
        tariff, (counters,) = priced
        found = lines(tariff, counters)
        assert sum(line.amount for line in found) == price(tariff, counters)
        assert all(line.amount >= 0 for line in found if line.kind != "maximum")

    @given(tariffs_with_counters())
    def test_each_line_is_within_one_unit_of_its_exact_part(self, priced: Priced) -> None:
        tariff, (counters,) = priced
        for line in lines(tariff, counters):
            if line.quantity is not None and line.rate is not None and line.per is not None:
                assert abs(line.amount - Fraction(line.quantity * line.rate, line.per)) <= 1

    @given(tariffs(), st.integers(min_value=0, max_value=10**6), st.data())
    def test_never_exceeds_the_worst_case(self, tariff: Tariff, seconds: int, data: st.DataObject) -> None:
        counters = [
            data.draw(st.integers(min_value=0, max_value=spec.max_per_second * seconds))
            for spec in tariff.counters
        ]
        assert price(tariff, counters) <= worst_case(tariff, seconds)

    @given(tariffs(), st.integers(min_value=0, max_value=10**6), st.integers(min_value=1, max_value=600))
    def test_at_full_speed_stays_below_what_time_allows(
        self, tariff: Tariff, seconds: int, ceiling_seconds: int
    ) -> None:
        """The escrow's cap by elapsed time never cuts off an honest meter."""
        found = amounts(tariff, seconds, None, ceiling_seconds)
        cap = found["block_max"] + -(-found["max_rate_per_hour"] * seconds // 3_600)
        assert worst_case(tariff, seconds) <= cap


class TestScaled:
    @given(tariffs(), st.integers(min_value=1, max_value=200))
    def test_scales_the_exact_price(self, tariff: Tariff, percent: int) -> None:
        other = scaled(tariff, percent, 100)
        counters = tuple(7_919 * (index + 1) for index in range(len(tariff.counters)))
        assert exact(other, counters) == exact(tariff, counters) * percent / 100
        assert other.flat == half_even(Fraction(tariff.flat * percent, 100))

    @given(tariffs())
    def test_by_one_changes_nothing(self, tariff: Tariff) -> None:
        assert scaled(tariff, 1, 1) == tariff
        assert tariff_hash(scaled(tariff, 7, 7)) == tariff_hash(tariff)

    @given(tariffs(), st.integers(min_value=0, max_value=100))
    def test_down_never_raises_the_rate(self, tariff: Tariff, percent: int) -> None:
        assert max_rate_per_hour(scaled(tariff, percent, 100)) <= max_rate_per_hour(tariff)
