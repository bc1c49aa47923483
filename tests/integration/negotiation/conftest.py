"""The running front, and a table without a broker."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from services.chassis.database import open_database
from services.chassis.migrations import migrate
from tests.builders import NOW
from tests.fakes.clock import FixedClock
from tests.fakes.front import Front, running_front, sqlite_urls
from tests.integration.negotiation.table import Table


@pytest.fixture
def front(tmp_path: Path) -> Iterator[Front]:
    """Run the front on databases of its own, at a moment that stands still."""
    with running_front(sqlite_urls(tmp_path), clock=FixedClock(NOW)) as running:
        yield running


@pytest.fixture
def table(tmp_path: Path) -> Iterator[Table]:
    """Set a table without a broker."""
    url = f"sqlite:///{tmp_path}/negotiation.db"
    migrate("negotiation", url=url)
    database = open_database(url)
    yield Table("", database, url, database)
    database.close()
