"""Every service's schema is its Alembic migrations in ``services/<service>/migrations``.

We run them, rather than a command line.

``python -m services.chassis.migrations listing metering`` migrates these services' databases to the newest
revision.
"""

import importlib.util
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from alembic import command, context
from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import MetaData, text

from services.chassis.database import Database, open_database
from services.chassis.logging import configure_logging, get_logger
from services.chassis.settings import DatabaseSettings
from services.chassis.tables import CHASSIS_METADATA
from services.messages.errors import OperatorError

_log = get_logger(__name__)

_DATABASE = "hireling_database"
_PARTITIONS = text("SELECT relname FROM pg_class WHERE relispartition")


def migrate(service: str, *, url: str | None = None, package: str | None = None) -> None:
    """Bring the service's database to the newest revision, creating it where it is a SQLite file.

    Does nothing when it is there.
    """
    database = open_database(url or DatabaseSettings.of(service).database_url)
    try:
        config = _config(package or f"services.{service}")
        config.attributes[_DATABASE] = database
        before = _current_revision(database)
        command.upgrade(config, "head")
        if _current_revision(database) != before:
            _log.info(
                "database_migrated", of=service, from_revision=before, to_revision=_current_revision(database)
            )
    finally:
        database.close()


@dataclass(frozen=True)
class Schema:
    """Where a service's database stands.

    ``current`` is None for an empty one; ``known`` says that this version has that revision.
    """

    current: str | None
    needed: str
    known: bool

    @property
    def is_current(self) -> bool:
        """Return whether this version can use the database as it is."""
        return self.current == self.needed


def schema_of(service: str, *, url: str | None = None, package: str | None = None) -> Schema:
    """Return at which revision the service's database is, and which one this version needs."""
    database = open_database(url or DatabaseSettings.of(service).database_url)
    try:
        current = _current_revision(database)
    finally:
        database.close()
    known = known_revisions(service, package=package)
    return Schema(current=current, needed=known[0], known=current is None or current in known)


def known_revisions(service: str, *, package: str | None = None) -> list[str]:
    """Return the revisions of the service's database that this version knows, the one that it needs first."""
    scripts = ScriptDirectory.from_config(_config(package or f"services.{service}"))
    known = [script.revision for script in scripts.walk_revisions()]
    if not known:
        raise OperatorError("no_migrations", f"{service} has no migration", service=service)
    return known


def check_schema(service: str, *, url: str | None = None, package: str | None = None) -> None:
    """Raise OperatorError("schema_mismatch") unless the service's database is at this version's revision."""
    schema = schema_of(service, url=url, package=package)
    if not schema.is_current:
        have = f"is at revision {schema.current}" if schema.current else "is empty"
        raise OperatorError(
            "schema_mismatch",
            f"the database of {service} {have}, this version needs {schema.needed}: "
            f"run python -m services.chassis.migrations {service}",
            service=service,
            current=schema.current,
            needed=schema.needed,
        )


def drift_of(database: Database, metadata: MetaData) -> list[Any]:
    """Return what the migrated database lacks or has beyond these tables and the chassis's own.

    It is nothing when all is well. A partition is no table by itself.
    """
    with database.engine.connect() as connection:
        partitions = (
            set(connection.scalars(_PARTITIONS)) if connection.dialect.name == "postgresql" else set()
        )

        def is_table(name: str | None, kind: str, _parents: Any) -> bool:
            return kind != "table" or name not in partitions

        options = {"compare_type": True, "include_name": is_table}
        migration = MigrationContext.configure(connection, opts=options)
        everything = MetaData()
        for table in (*metadata.tables.values(), *CHASSIS_METADATA.tables.values()):
            table.to_metadata(everything)
        differences: list[Any] = compare_metadata(migration, everything)
        return differences


def run_env(metadata: MetaData) -> None:
    """Run the migrations; all that a service's ``migrations/env.py`` does, with its tables' metadata."""
    database: Database = context.config.attributes[_DATABASE]
    with database.engine.execution_options(hireling_writes=True).connect() as connection:
        context.configure(
            connection=connection,
            target_metadata=[metadata, CHASSIS_METADATA],
            # SQLite alters a table by copying it.
            render_as_batch=True,
            compare_type=True,
        )
        with context.begin_transaction():
            context.run_migrations()


def _config(package: str) -> Config:
    spec = importlib.util.find_spec(package)
    if spec is None or not spec.submodule_search_locations:
        raise OperatorError("no_such_service", f"there is no package {package}", package=package)
    config = Config()
    config.set_main_option("script_location", str(Path(spec.submodule_search_locations[0]) / "migrations"))
    config.set_main_option("path_separator", "os")
    return config


def _current_revision(database: Database) -> str | None:
    with database.engine.connect() as connection:
        return MigrationContext.configure(connection).get_current_revision()


if __name__ == "__main__":
    configure_logging()
    for name in sys.argv[1:]:
        migrate(name)
