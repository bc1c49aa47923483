"""Prices, counters and moments in words."""

from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hireling.rental.money import Token
from hireling.rental.tariff import CounterSpec, Rate, Tariff
from services.gateway.web.words import (
    all_in_words,
    counter_words,
    duration_words,
    moment_words,
    name_words,
    price_words,
    short,
)
from tests.builders import TOKEN, a_tariff

TUSD = Token(address=TOKEN, symbol="tUSD", decimals=6, chain_id=31337)


def a_counter(unit: str, *, name: str = "work") -> CounterSpec:
    """Return a counter in this unit."""
    return CounterSpec(name=name, unit=unit, max_per_second=10)


def priced(unit: str, *, per: int, kind: str = "use") -> Tariff:
    """Return a tariff of one rate on one counter."""
    rate = Rate.model_validate({"kind": kind, "counter": "work", "rate": 1_500_000, "per": per})
    return Tariff(currency="tUSD", counters=(a_counter(unit),), rates=(rate,))


class TestPriceWords:
    def test_names_every_component(self) -> None:
        assert price_words(a_tariff(maximum=2_000_000), TUSD) == [
            "0.000005 tUSD to start",
            "0.300000 tUSD per kWh",
            "0.000007 tUSD per second",
            "at least 0.000050 tUSD",
            "at most 2.000000 tUSD",
        ]

    @pytest.mark.parametrize(
        ("unit", "per", "words"),
        [
            ("mJ", 3_600_000_000, "per kWh"),
            ("ms", 3_600_000, "per hour"),
            ("s", 60, "per minute"),
            ("page", 1, "per page"),
            ("page", 100, "per 100 page"),
            ("mJ", 7, "per 7 mJ"),
        ],
    )
    def test_speaks_in_the_unit_people_think_in(self, unit: str, per: int, words: str) -> None:
        assert price_words(priced(unit, per=per), TUSD) == [f"1.500000 tUSD {words}"]

    def test_says_what_idling_costs(self) -> None:
        assert price_words(priced("s", per=60, kind="idle"), TUSD) == ["1.500000 tUSD per minute while idle"]

    def test_says_that_nothing_is_free(self) -> None:
        assert price_words(Tariff(currency="tUSD", counters=(a_counter("s"),)), TUSD) == ["free"]


class TestAllInWords:
    def test_says_an_hours_worst_case_and_the_deposit(self) -> None:
        words = all_in_words(a_tariff(), TUSD, deposit=10_000, longest_seconds=86_400)
        assert words == "1 h costs at most 0.925205 tUSD all in, plus 0.010000 tUSD deposit that comes back"

    def test_says_the_longest_rental_where_that_is_shorter(self) -> None:
        assert all_in_words(a_tariff(), TUSD, deposit=0, longest_seconds=90).startswith("1 min 30 s costs")


class TestCounterWords:
    def test_rounds_down_to_the_thousandth(self) -> None:
        assert counter_words(a_counter("mJ"), 270_649_420) == "75.180 Wh"
        assert counter_words(a_counter("mJ"), 3_599) == "0.000 Wh"

    def test_leaves_units_it_does_not_know(self) -> None:
        assert counter_words(a_counter("page"), 1_234) == "1\u00a0234 page"

    @given(st.integers(min_value=0, max_value=2**256 - 1))
    def test_never_claims_more_than_was_counted(self, value: int) -> None:
        whole, _, part = counter_words(a_counter("mJ"), value).removesuffix(" Wh").partition(".")
        assert 0 <= value - int(whole + part) * 3_600 < 3_600

    def test_does_not_name_the_unit_twice(self) -> None:
        assert name_words(a_counter("mJ", name="energy_mJ")) == "energy"
        assert name_words(a_counter("s", name="machine_time")) == "machine time"


def test_durations_have_at_most_two_units() -> None:
    assert [duration_words(seconds) for seconds in (0, 59, 3_600, 90_061)] == [
        "0 s",
        "59 s",
        "1 h",
        "1 d 1 h",
    ]


def test_moments_are_utc() -> None:
    assert moment_words(datetime(2030, 1, 1, 12, tzinfo=UTC)) == moment_words(1_893_499_200)
    assert moment_words(1_893_499_200) == "2030-01-01 12:00:00 UTC"


def test_short_names_keep_both_ends() -> None:
    assert short(bytes.fromhex("0123456789abcdef" * 4)) == "0x01234567…cdef"
    assert short(b"\x01") == "0x01"
