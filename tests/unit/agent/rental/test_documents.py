"""RFC 8785."""

import tracemalloc
from typing import Any

import pytest

from hireling.rental.documents import canonical_json, document_hash
from hireling.rental.errors import Malformed
from hireling.rental.signing import keccak256
from tests.builders import a_tariff


class TestCanonicalJson:
    def test_sorts_names_by_utf_16_as_the_rfc_shows(self) -> None:
        # RFC 8785, section 3.2.3.
        document = {"€": 1, "\r": 2, "\ufb33": 3, "1": 4, "😀": 5, "\u0080": 6, "ö": 7}
        text = canonical_json(document).decode()
        assert text == '{"\\r":2,"1":4,"\u0080":6,"ö":7,"€":1,"😀":5,"\ufb33":3}'

    def test_escapes_only_what_it_must(self) -> None:
        assert canonical_json({"a": '\u0000\u001f"\\/\u007f\u2028é'}).decode() == (
            '{"a":"\\u0000\\u001f\\"\\\\/\u007f\u2028é"}'
        )

    @pytest.mark.parametrize(
        "value", [1.0, float("nan"), 2**53, -(2**53), b"bytes", {1: 2}, {"a", "b"}, "\ud800", {"\ud800": 1}]
    )
    def test_refuses_what_two_languages_write_differently(self, value: Any) -> None:
        with pytest.raises(Malformed):
            canonical_json({"value": value})

    def test_refuses_a_document_nested_without_end(self) -> None:
        nested: list[Any] = []
        nested.append(nested)
        with pytest.raises(Malformed, match="nested deeper"):
            canonical_json({"value": nested})

    def test_writes_a_model_as_its_json(self) -> None:
        tariff = a_tariff()
        assert canonical_json(tariff) == canonical_json(tariff.model_dump(mode="json"))

    def test_is_what_the_hash_is_of(self) -> None:
        assert document_hash({"a": 1}) == keccak256(b'{"a":1}')

    @pytest.mark.parametrize(("names", "length"), [(10_000, 8), (20, 20_000)])
    def test_remembers_no_names_of_a_strangers_own_making(self, names: int, length: int) -> None:
        tracemalloc.start()
        try:
            for kind in range(8):
                canonical_json({f"{kind}-{name}".ljust(length, "n"): 1 for name in range(names)})
            kept, _ = tracemalloc.get_traced_memory()
        finally:
            tracemalloc.stop()
        assert kept < 200_000
