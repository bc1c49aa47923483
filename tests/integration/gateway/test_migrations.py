"""The front's migrations make exactly the tables of its models, and can be undone."""

from pathlib import Path

import pytest
from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import MetaData, inspect

from services.chassis.database import open_database
from services.chassis.migrations import _DATABASE, _config, migrate
from services.chassis.tables import CHASSIS_METADATA
from services.gateway.models import GatewayTable
from services.listing.models import ListingTable
from services.negotiation.models import NegotiationTable

TABLES = {
    "gateway": GatewayTable.metadata,
    "listing": ListingTable.metadata,
    "negotiation": NegotiationTable.metadata,
}


@pytest.mark.parametrize(("service", "metadata"), TABLES.items())
def test_migrations_make_the_models_tables(tmp_path: Path, service: str, metadata: MetaData) -> None:
    url = f"sqlite:///{tmp_path / service}.db"
    migrate(service, url=url)
    database = open_database(url)
    with database.engine.connect() as connection:
        context = MigrationContext.configure(connection, opts={"compare_type": True})
        assert compare_metadata(context, _merged(metadata, CHASSIS_METADATA)) == []
    database.close()


def _merged(*parts: MetaData) -> MetaData:
    whole = MetaData()
    for table in (table for part in parts for table in part.sorted_tables):
        table.to_metadata(whole)
    return whole


@pytest.mark.parametrize("service", TABLES)
def test_migrations_can_be_undone(tmp_path: Path, service: str) -> None:
    url = f"sqlite:///{tmp_path / service}.db"
    migrate(service, url=url)
    database = open_database(url)
    config = _config(f"services.{service}")
    config.attributes[_DATABASE] = database
    command.downgrade(config, "base")
    assert inspect(database.engine).get_table_names() == ["alembic_version"]
    database.close()
