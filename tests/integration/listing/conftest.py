"""The running front."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.builders import NOW
from tests.fakes.clock import FixedClock
from tests.fakes.front import Front, running_front


@pytest.fixture
def front(tmp_path: Path) -> Iterator[Front]:
    """Run listing, negotiation and the gateway on databases of their own, at a moment that stands still."""
    with running_front(tmp_path, clock=FixedClock(NOW)) as running:
        yield running
