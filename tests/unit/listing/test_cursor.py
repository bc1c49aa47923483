"""Cursors of pages."""

from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.listing.cursor import Position
from services.messages.errors import Invalid


@given(st.datetimes(timezones=st.just(UTC)), st.text("0123456789abcdefx"))
def test_a_position_survives_the_trip(moment: datetime, key: str) -> None:
    assert Position.decode(Position(moment, key).encode()) == Position(moment, key)


@given(st.text(max_size=60))
def test_anything_else_is_invalid(cursor: str) -> None:
    with pytest.raises(Invalid):
        Position.decode(cursor)
