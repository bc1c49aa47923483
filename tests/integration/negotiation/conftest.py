"""The running front."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.builders import NOW
from tests.fakes.clock import FixedClock
from tests.fakes.front import Front, running_front, sqlite_urls


@pytest.fixture
def front(tmp_path: Path) -> Iterator[Front]:
    """Run the front on databases of its own, at a moment that stands still."""
    with running_front(sqlite_urls(tmp_path), clock=FixedClock(NOW)) as running:
        yield running
