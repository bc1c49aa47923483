"""Where a page ended."""

import base64

import pytest

from services.messages.errors import Invalid
from services.settlement.position import decode, encode
from tests.builders import NOW

NAIVE = base64.urlsafe_b64encode(b'["2030-01-01", "0xabc"]').decode()


class TestPosition:
    def test_comes_back_as_it_went(self) -> None:
        assert decode(encode(NOW, "0xabc")) == (NOW, "0xabc")

    @pytest.mark.parametrize("cursor", ["", "nonsense", "bm9uc2Vuc2U=", "WzEsMl0=", NAIVE, "éé"])
    def test_is_refused_where_it_is_not_ours(self, cursor: str) -> None:
        with pytest.raises(Invalid, match="bad_cursor"):
            decode(cursor)
