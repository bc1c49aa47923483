"""The running front."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from services.listing.service import Listing
from services.negotiation.service import Negotiation
from tests.builders import NOW
from tests.fakes.clock import FixedClock
from tests.fakes.front import Front, running_front, sqlite_urls
from tests.fakes.settlement.service import FakeSettlement


@pytest.fixture
def front(tmp_path: Path) -> Iterator[Front]:
    """Run listing, negotiation and the gateway on databases of their own, at a moment that stands still."""
    with running_front(sqlite_urls(tmp_path), clock=FixedClock(NOW)) as running:
        yield running


@pytest.fixture
def front_without_metering(tmp_path: Path) -> Iterator[Front]:
    """Run the same while metering is down."""
    services = (Listing, Negotiation, FakeSettlement)
    with running_front(sqlite_urls(tmp_path), clock=FixedClock(NOW), services=services) as running:
        yield running
