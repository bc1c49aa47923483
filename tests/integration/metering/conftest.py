"""Metering's database, a SQLite file, and PostgreSQL where the stack runs; and its broker."""

import os
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from hireling.rental.broker_users import INGEST
from services.chassis.database import open_database
from services.chassis.migrations import migrate
from tests import stack
from tests.chain import free_port
from tests.integration.metering.books import Books, Clerk
from tests.integration.metering.lines import PASSWORD, named
from tests.integration.metering.servers import running_broker
from tests.integration.metering.stage import Stage


@pytest.fixture(params=["sqlite", pytest.param("postgresql", marks=pytest.mark.stack)])
def database_url(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    """Return the address of a new database with metering's tables."""
    with ExitStack() as cleanup:
        if request.param == "postgresql":
            yield cleanup.enter_context(stack.migrated_database("metering"))
        else:
            url = f"sqlite:///{tmp_path}/metering.db"
            migrate("metering", url=url)
            yield url


@pytest.fixture
def books(database_url: str) -> Iterator[Books]:
    """Return the books of one rental that is agreed."""
    database = open_database(database_url)
    books = Books(database)
    books.agree()
    yield books
    database.close()


@pytest.fixture
def clerk(books: Books) -> Clerk:
    """Return who records into these books."""
    return Clerk(books)


@pytest.fixture(params=["embedded", pytest.param("stack", marks=pytest.mark.stack)])
def stage(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Stage]:
    """Set the stage: embedded servers, or the stack's."""
    with ExitStack() as cleanup:
        if request.param == "stack":
            mqtt_url = os.environ["STACK_MQTT_URL"]
            database_url = cleanup.enter_context(stack.fresh_database("metering"))
        else:
            port = free_port()
            database_url = f"sqlite:///{tmp_path}/metering.db"
            cleanup.enter_context(running_broker(port, database_url))
            mqtt_url = named(port, INGEST, PASSWORD)
        migrate("metering", url=database_url)
        database = open_database(database_url)
        cleanup.callback(database.close)
        yield Stage(mqtt_url, database_url, Books(database))
