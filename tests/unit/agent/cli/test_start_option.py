"""When a rental is to begin, as people say it."""

from datetime import UTC, datetime, timedelta, timezone

import pytest
import typer

from hireling.cli.rent import _start_at

ZONE = timezone(timedelta(hours=2))
NOW = datetime(2026, 3, 1, 12, 0, tzinfo=ZONE)


@pytest.mark.parametrize(
    ("text", "start"),
    [
        ("18:30", datetime(2026, 3, 1, 16, 30, tzinfo=UTC)),
        ("09:15", datetime(2026, 3, 2, 7, 15, tzinfo=UTC)),
        ("2026-03-04T09:00", datetime(2026, 3, 4, 7, 0, tzinfo=UTC)),
        ("2026-03-04 09:00", datetime(2026, 3, 4, 7, 0, tzinfo=UTC)),
        ("2026-03-04T09:00+00:00", datetime(2026, 3, 4, 9, 0, tzinfo=UTC)),
    ],
)
def test_reads_a_time_of_day_as_the_next_one_and_a_date_where_it_stands(text: str, start: datetime) -> None:
    assert _start_at(text, now=NOW) == int(start.timestamp())


@pytest.mark.parametrize("text", ["18:31", "2026-02-28T12:00", "tomorrow", "", "2026-03-04"])
def test_refuses_what_is_past_no_quarter_of_an_hour_or_no_time(text: str) -> None:
    with pytest.raises(typer.BadParameter):
        _start_at(text, now=NOW)
