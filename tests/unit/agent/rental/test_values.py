"""What the protocol's values accept, and how they look in JSON."""

from typing import Annotated, Any

import pytest
from pydantic import ValidationError

from hireling.rental.reading import ClockQuality
from hireling.rental.typed_data import (
    Address,
    Bytes32,
    Document,
    HexBytes,
    Int128,
    KeyBytes,
    Uint8,
    Uint96,
    Uint256,
)
from hireling.rental.values import Integer


class Amount(Document):
    value: Uint96


class Values(Document):
    small: Uint8 = 0
    large: Uint256 = 0
    signed: Int128 = 0
    word: Bytes32 = bytes(32)
    address: Address = bytes(20)
    data: HexBytes = b""
    key: KeyBytes = bytes(20)
    clock: Annotated[ClockQuality, Integer(8, names=ClockQuality)] = ClockQuality.UNSYNCHRONISED


class TestIntegers:
    @pytest.mark.parametrize(("given", "parsed"), [(0, 0), ("0", 0), ("17", 17), (2**96 - 1, 2**96 - 1)])
    def test_take_integers_and_decimal_strings(self, given: object, parsed: int) -> None:
        assert Amount.model_validate({"value": given}).value == parsed

    @pytest.mark.parametrize(
        "given",
        [
            True,
            False,
            1.0,
            1.5,
            "1.0",
            "0x1",
            "01",
            "-0",
            "+1",
            " 1",
            "1 ",
            "1_000",
            "",
            "١",
            None,
            b"1",
            [1],
        ],
    )
    def test_take_nothing_else(self, given: object) -> None:
        with pytest.raises(ValidationError, match="is not a whole number"):
            Amount.model_validate({"value": given})

    @pytest.mark.parametrize("given", [-1, "-1", 2**96, str(2**96)])
    def test_say_the_range_they_are_outside_of(self, given: object) -> None:
        with pytest.raises(
            ValidationError, match=f"{given} is outside uint96, 0 to 79228162514264337593543950335"
        ):
            Amount.model_validate({"value": given})

    def test_refuse_a_string_of_a_million_digits_without_parsing_it(self) -> None:
        with pytest.raises(ValidationError, match="is not a whole number"):
            Amount.model_validate({"value": "9" * 1_000_000})

    def test_are_decimal_strings_in_json_and_integers_in_python(self) -> None:
        values = Values(large=2**256 - 1, signed=-5, clock=ClockQuality.SYNCHRONISED)
        assert values.model_dump(mode="json") | {"large": "", "clock": ""} == {
            "small": "0",
            "large": "",
            "signed": "-5",
            "word": "0x" + "00" * 32,
            "address": "0x" + "00" * 20,
            "data": "0x",
            "key": "0x" + "00" * 20,
            "clock": "",
        }
        assert values.model_dump(mode="json")["large"] == str(2**256 - 1)
        assert values.model_dump(mode="json")["clock"] == "1"
        assert values.model_dump()["large"] == 2**256 - 1

    def test_take_only_the_names_they_know(self) -> None:
        with pytest.raises(ValidationError, match="2 is not a valid ClockQuality"):
            Values.model_validate({"clock": "2"})


class TestBytes:
    def test_take_hex_of_either_case_and_write_lower_case(self) -> None:
        assert Values.model_validate({"data": "0xAbCd"}).model_dump(mode="json")["data"] == "0xabcd"

    @pytest.mark.parametrize("given", ["abcd", "0xabc", "0xzz", "0x ab", "0xab\n", 5, None, bytearray(32)])
    def test_take_nothing_else(self, given: object) -> None:
        with pytest.raises(ValidationError):
            Values.model_validate({"data": given})

    @pytest.mark.parametrize(
        ("name", "length", "message"),
        [
            ("word", 31, "31 bytes, not 32"),
            ("address", 32, "32 bytes, not 20"),
            ("key", 65, "65 bytes, not 20 or 64"),
        ],
    )
    def test_say_how_many_they_are(self, name: str, length: int, message: str) -> None:
        with pytest.raises(ValidationError, match=message):
            Values.model_validate({name: bytes(length)})

    def test_have_an_end(self) -> None:
        with pytest.raises(ValidationError, match="8193 bytes, not 0 to 8192"):
            Values.model_validate({"data": bytes(8193)})


class TestDocuments:
    def test_refuse_what_they_do_not_know(self) -> None:
        with pytest.raises(ValidationError, match="Extra inputs"):
            Values.model_validate({"smal": 1})

    def test_cannot_be_changed(self) -> None:
        values: Any = Values()
        with pytest.raises(ValidationError, match="frozen"):
            values.small = 1

    def test_describe_themselves_in_json_schema(self) -> None:
        described = Values.model_json_schema(mode="serialization")["properties"]
        assert described["small"]["pattern"] == r"^(0|[1-9][0-9]*)$"
        assert described["small"]["maxLength"] == 3
        assert described["word"]["pattern"] == "^0x([0-9a-fA-F]{64})$"
        assert described["clock"]["enum"] == ["0", "1"]
