"""Bring databases to this version's schema: ``python -m services.embedded.databases listing metering …``.

An older SQLite file is copied beside itself before it is migrated; one that a newer version wrote is refused.
"""

import sqlite3
import sys
from contextlib import closing
from pathlib import Path

from rich.console import Console

from services.chassis.logging import configure_logging
from services.chassis.migrations import Schema, migrate, schema_of
from services.chassis.settings import DatabaseSettings
from services.embedded.errors import EmbeddedError

SQLITE = "sqlite:///"


def upgrade(service: str) -> str | None:
    """Migrate the service's database where that is due; return what was done, or None.

    Raises EmbeddedError where a newer version wrote the database: going back would lose what it holds.
    """
    schema = schema_of(service)
    if schema.is_current:
        return None
    if not schema.known:
        raise EmbeddedError(
            f"the database of {service} is at revision {schema.current}, which a newer version wrote and this"
            " one does not know: run that version, or start afresh with `make clean`"
        )
    kept = _keep_copy(service, schema)
    migrate(service)
    if schema.current is None:
        return None
    return f"{service}: migrated from revision {schema.current} to {schema.needed}{kept}"


def _keep_copy(service: str, schema: Schema) -> str:
    url = DatabaseSettings.of(service).database_url
    if schema.current is None or not url.startswith(SQLITE):
        return ""
    path = Path(url.removeprefix(SQLITE))
    copy = path.with_suffix(f".{schema.current}.db")
    with closing(sqlite3.connect(path)) as source, closing(sqlite3.connect(copy)) as target:
        source.backup(target)
    return f"; the old one is kept as {copy.name}"


def main(services: list[str]) -> int:
    """Migrate each named service's database; print a line for each that held data of an older version."""
    configure_logging()
    console = Console(highlight=False, soft_wrap=True)
    try:
        for service in services:
            done = upgrade(service)
            if done:
                console.print(done)
    except EmbeddedError as error:
        console.print(str(error))
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
