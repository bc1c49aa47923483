"""Amounts: rounding, fees, reading and writing."""

from fractions import Fraction

import pytest

from hireling.rental.errors import Malformed
from hireling.rental.money import Token, divide_up, fee_of, format_amount, half_even, parse_amount

TOKEN = Token(address=bytes(20), symbol="tUSD", decimals=6, chain_id=31337)
WHOLE = Token(address=bytes(20), symbol="PT", decimals=0, chain_id=31337)


class TestHalfEven:
    @pytest.mark.parametrize(
        ("value", "rounded"),
        [
            ("1/2", 0),
            ("3/2", 2),
            ("5/2", 2),
            ("7/2", 4),
            ("-1/2", 0),
            ("-3/2", -2),
            ("49/100", 0),
            ("51/100", 1),
        ],
    )
    def test_gives_a_half_to_the_even_neighbour(self, value: str, rounded: int) -> None:
        assert half_even(Fraction(value)) == rounded


class TestDivideUp:
    @pytest.mark.parametrize(("numerator", "quotient"), [(0, 0), (1, 1), (3, 1), (4, 2)])
    def test_rounds_up(self, numerator: int, quotient: int) -> None:
        assert divide_up(numerator, 3) == quotient


class TestFee:
    def test_is_rounded_down(self) -> None:
        assert [fee_of(amount, 250) for amount in (0, 39, 40, 79, 80)] == [0, 0, 1, 1, 2]


class TestFormat:
    @pytest.mark.parametrize(
        ("amount", "text"),
        [(0, "0.000000 tUSD"), (1, "0.000001 tUSD"), (12_345_678, "12.345678 tUSD"), (-1, "-0.000001 tUSD")],
    )
    def test_writes_every_base_unit(self, amount: int, text: str) -> None:
        assert format_amount(amount, TOKEN) == text

    def test_writes_no_point_without_decimals(self) -> None:
        assert format_amount(7, WHOLE) == "7 PT"


class TestParse:
    @pytest.mark.parametrize(
        ("text", "amount"),
        [("12.5", 12_500_000), ("12.5 tUSD", 12_500_000), ("0.000001", 1), (" 3 ", 3_000_000)],
    )
    def test_reads_what_people_write(self, text: str, amount: int) -> None:
        assert parse_amount(text, TOKEN) == amount

    @pytest.mark.parametrize("text", ["", "-1", "1e6", "1,5", ".5", "5.", "1 EUR", "0.0000001", "nan", "１"])
    def test_refuses_what_is_not_exactly_an_amount(self, text: str) -> None:
        with pytest.raises(Malformed):
            parse_amount(text, TOKEN)

    def test_reads_what_it_writes(self) -> None:
        assert parse_amount(format_amount(10**30 + 1, TOKEN), TOKEN) == 10**30 + 1
