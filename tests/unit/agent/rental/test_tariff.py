"""Price: six components, one rounding."""

from typing import Any

import pytest
from pydantic import ValidationError

from hireling.rental.errors import Malformed
from hireling.rental.tariff import (
    CounterSpec,
    Rate,
    Tariff,
    amounts,
    lines,
    max_rate_per_hour,
    price,
    scaled,
    tariff_hash,
    worst_case,
)
from tests.builders import a_tariff

TIME = CounterSpec(name="time_ms", unit="ms", max_per_second=1_000)
USE = CounterSpec(name="energy_mJ", unit="mJ", max_per_second=3_000_000)


def a_rate(**changes: Any) -> Rate:
    return Rate.model_validate({"kind": "time", "counter": "time_ms", "rate": 1, "per": 2} | changes)


def timed(**changes: Any) -> Tariff:
    terms: dict[str, Any] = {"currency": "tUSD", "counters": (TIME,), "rates": (a_rate(),)}
    return Tariff.model_validate(terms | changes)


class TestPrice:
    @pytest.mark.parametrize(("counter", "due"), [(0, 0), (1, 0), (2, 1), (3, 2), (5, 2), (7, 4)])
    def test_rounds_half_even_to_base_units(self, counter: int, due: int) -> None:
        assert price(timed(), [counter]) == due

    def test_rounds_the_sum_and_not_its_parts(self) -> None:
        both = timed(
            counters=(USE, TIME),
            rates=(a_rate(kind="use", counter="energy_mJ", per=4), a_rate(per=4)),
        )
        assert [price(both, counters) for counters in ([1, 0], [1, 1], [1, 2], [3, 3])] == [0, 0, 1, 2]

    def test_adds_the_flat_fee_and_keeps_between_minimum_and_maximum(self) -> None:
        tariff = timed(flat=10, minimum=12, maximum=15)
        assert [price(tariff, [counter]) for counter in (0, 4, 6, 10, 12)] == [12, 12, 13, 15, 15]

    def test_needs_a_value_for_each_counter(self) -> None:
        with pytest.raises(Malformed, match="2 counters for a tariff of 1"):
            price(timed(), [1, 2])

    def test_refuses_counters_that_no_honest_meter_reaches(self) -> None:
        dear = timed(rates=(a_rate(rate=2**96 - 1, per=1),), maximum=5)
        assert price(dear, [2**31]) == 5
        with pytest.raises(Malformed, match="beyond 127 bits"):
            price(dear, [2**32])


class TestWorstCase:
    def test_is_the_price_with_every_counter_at_its_fastest(self) -> None:
        assert worst_case(timed(flat=3), 60) == 3 + 60_000 // 2

    def test_never_exceeds_the_maximum(self) -> None:
        assert worst_case(timed(maximum=100), 60) == 100

    def test_rate_per_hour_is_rounded_up_without_the_flat_fee(self) -> None:
        tariff = timed(flat=99, rates=(a_rate(rate=1, per=7),))
        assert max_rate_per_hour(tariff) == -(-3_600_000 // 7)


class TestAmounts:
    def test_block_covers_the_minimum_and_a_ceiling_s_time(self) -> None:
        found = amounts(timed(flat=3, minimum=50), 600, None, 60)
        assert found == {"max_total": 300_003, "block_max": 50 + 30_000, "max_rate_per_hour": 1_800_000}

    def test_budget_caps_the_total(self) -> None:
        assert amounts(timed(), 600, 1_000, 60)["max_total"] == 1_000

    def test_beyond_96_bits_is_refused_with_the_amount(self) -> None:
        with pytest.raises(Malformed, match="beyond 96 bits"):
            amounts(timed(rates=(a_rate(rate=2**96 - 1, per=1),)), 600, None, 60)


class TestTariff:
    @pytest.mark.parametrize(
        ("changes", "message"),
        [
            ({"rates": (a_rate(counter="water"),)}, "the time rate is on water, which is none of time_ms"),
            ({"rates": (a_rate(), a_rate())}, "two rates of one kind are on one counter"),
            ({"counters": (TIME, TIME)}, "two counters have one name"),
            ({"minimum": 3, "maximum": 2}, "the maximum 2 is below the minimum 3"),
            ({"counters": ()}, "at least 1 item"),
        ],
    )
    def test_does_not_contradict_itself(self, changes: dict[str, Any], message: str) -> None:
        with pytest.raises(ValidationError, match=message):
            timed(**changes)

    def test_has_at_most_six_components(self) -> None:
        specs = tuple(CounterSpec(name=f"c{number}", unit="1", max_per_second=1) for number in range(4))
        rates = tuple(a_rate(kind="use", counter=spec.name) for spec in specs)
        timed(counters=specs, rates=rates, flat=1, minimum=1)
        with pytest.raises(ValidationError, match="7 components, at most 6"):
            timed(counters=specs, rates=rates, flat=1, minimum=1, maximum=5)

    def test_has_no_rate_per_nothing(self) -> None:
        with pytest.raises(ValidationError, match="per 0 units"):
            a_rate(per=0)

    def test_hash_changes_with_any_term(self) -> None:
        hashes = {
            tariff_hash(each) for each in (timed(), timed(flat=1), timed(minimum=1), timed(currency="EUR"))
        }
        assert len(hashes) == 4


class TestScaled:
    def test_keeps_the_unit_where_the_rate_stays_whole(self) -> None:
        assert scaled(timed(rates=(a_rate(rate=100, per=7),)), 9, 10).rates == (a_rate(rate=90, per=7),)

    def test_is_exact_for_a_rate_of_one(self) -> None:
        assert scaled(timed(), 9, 10).rates == (a_rate(rate=9, per=20),)

    def test_rounds_where_64_bits_end(self) -> None:
        wide = timed(rates=(a_rate(rate=101, per=2**63),))
        assert scaled(wide, 9, 10).rates == (a_rate(rate=91, per=2**63),)

    def test_scales_the_flat_fee_but_neither_minimum_nor_maximum(self) -> None:
        cheaper = scaled(timed(flat=100, minimum=7, maximum=500), 9, 10)
        assert (cheaper.flat, cheaper.minimum, cheaper.maximum) == (90, 7, 500)


class TestLines:
    def test_sum_to_the_price_when_each_part_is_a_fraction(self) -> None:
        tariff = timed(
            counters=(USE, TIME), rates=(a_rate(kind="use", counter="energy_mJ", per=3), a_rate(per=3))
        )
        found = lines(tariff, [1, 1])
        assert [line.amount for line in found] == [0, 1]
        assert price(tariff, [1, 1]) == 1

    def test_say_what_was_counted_and_at_which_rate(self) -> None:
        line = lines(a_tariff(), [0, 5_000])[2]
        assert (line.kind, line.counter, line.quantity, line.rate, line.per, line.amount) == (
            "time", "time_ms", 5_000, 7, 1_000, 35,
        )  # fmt: skip

    @pytest.mark.parametrize(
        ("counter", "kind", "amount"), [(0, "minimum", 12), (100, "maximum", -10)], ids=["below", "above"]
    )
    def test_correct_to_minimum_and_maximum(self, counter: int, kind: str, amount: int) -> None:
        last = lines(timed(minimum=12, maximum=40), [counter])[-1]
        assert (last.kind, last.amount) == (kind, amount)
