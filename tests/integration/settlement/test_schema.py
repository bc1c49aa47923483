"""The migrations make exactly the tables that the models describe."""

from pathlib import Path

from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext

from services.chassis.database import open_database
from services.chassis.migrations import migrate
from services.chassis.tables import CHASSIS_METADATA
from services.settlement.models import SettlementTable

CHASSIS_TABLES = set(CHASSIS_METADATA.tables)


class TestSchema:
    def test_has_not_drifted_from_the_models(self, tmp_path: Path) -> None:
        url = f"sqlite:///{tmp_path}/settlement.db"
        migrate("settlement", url=url)
        database = open_database(url)
        with database.engine.connect() as connection:
            context = MigrationContext.configure(
                connection,
                opts={
                    "compare_type": True,
                    "include_object": lambda item, name, kind, *_: (
                        (name if kind == "table" else item.table.name)
                        not in {*CHASSIS_TABLES, "alembic_version"}
                    ),
                },
            )
            assert compare_metadata(context, SettlementTable.metadata) == []
        database.close()
