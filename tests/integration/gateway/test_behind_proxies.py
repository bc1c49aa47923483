"""Where a request came from, with a reverse proxy in front of the gateway and without."""

from pathlib import Path

import pytest

from tests.builders import NOW
from tests.fakes.clock import FixedClock
from tests.fakes.front import QUICK, running_front, sqlite_urls

A, B = "198.51.100.1", "198.51.100.2"


@pytest.mark.parametrize(
    ("proxies", "callers", "statuses"),
    [
        # Each caller has a count of its own, by the proxy's word: what it said itself stands before that.
        (1, [A, B, f"{B}, {A}"], [200, 200, 429]),
        # Whoever says what it likes is one caller all the same.
        (0, [A, B], [200, 429]),
    ],
)
def test_requests_are_counted_by_who_made_them(
    tmp_path: Path, proxies: int, callers: list[str], statuses: list[int]
) -> None:
    settings = QUICK.model_copy(update={"rate_limit": "1 per hour", "proxies": proxies})
    with running_front(sqlite_urls(tmp_path), clock=FixedClock(NOW), settings=settings) as front:
        answers = [
            front.client.get("/v1/platform", headers={"X-Forwarded-For": caller}) for caller in callers
        ]
        assert [answer.status_code for answer in answers] == statuses
