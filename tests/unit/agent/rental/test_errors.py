"""The tree of errors."""

from typing import get_args

import pytest

from hireling.rental import errors
from hireling.rental.errors import ReadingRefused, RefusalCode, RentalError


class TestErrors:
    def test_are_all_drawn_in_the_docstring(self) -> None:
        named = [name for name, value in vars(errors).items() if isinstance(value, type)]
        assert [name for name in named if name not in str(errors.__doc__)] == []

    def test_read_as_their_detail_and_carry_their_code(self) -> None:
        with pytest.raises(RentalError, match="number 3 came where 2 is next") as raised:
            raise ReadingRefused("gap", "number 3 came where 2 is next")
        assert raised.value.code == "gap"

    def test_of_readings_have_fourteen_codes(self) -> None:
        assert len(get_args(RefusalCode)) == 14
