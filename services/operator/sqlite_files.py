"""The embedded marketplace's SQLite files, copied as of one moment, and put back."""

import sqlite3
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, closing, contextmanager
from pathlib import Path

from hireling.durable import make_private_folder
from services.messages.errors import Invalid, Unavailable

# A writer holds one file at a time and asks nobody meanwhile, so this ends; see `services.chassis.database`.
WAIT_SECONDS = 30.0
# What belongs to a file beside it, while it is written.
BESIDE = ("-wal", "-shm")


def copy_together(files: Mapping[str, Path], folder: Path) -> None:
    """Copy these databases to ``<service>.db``: while they are copied nobody writes any of them.

    Readers are not held up. Raises Unavailable where a writer does not end.
    """
    make_private_folder(folder)
    with _nobody_writes(files):
        for service, path in files.items():
            target = folder / f"{service}.db"
            with closing(sqlite3.connect(path)) as source, closing(sqlite3.connect(target)) as copy:
                source.backup(copy)
                copy.execute("PRAGMA journal_mode = DELETE")
            target.chmod(0o600)


@contextmanager
def _nobody_writes(files: Mapping[str, Path]) -> Iterator[None]:
    with ExitStack() as held:
        for service, path in files.items():
            if not path.exists():
                raise Unavailable("no_database", f"{path} of {service} does not exist", service=service)
            connection = sqlite3.connect(path, timeout=WAIT_SECONDS, isolation_level=None)
            held.callback(connection.close)
            try:
                connection.execute("BEGIN IMMEDIATE")
            except sqlite3.OperationalError as error:
                raise Unavailable("database_busy", f"{path}: {error}", service=service) from error
            held.callback(connection.execute, "ROLLBACK")
        yield


def check(path: Path) -> None:
    """Raise Invalid unless a copy is a whole database."""
    try:
        with closing(sqlite3.connect(f"file:{path}?mode=ro", uri=True)) as copy:
            answer = copy.execute("PRAGMA integrity_check").fetchone()[0]
    except sqlite3.DatabaseError as error:
        raise Invalid("backup_broken", f"{path}: {error}") from error
    if answer != "ok":
        raise Invalid("backup_broken", f"{path}: {answer}")


def remove(path: Path) -> None:
    """Delete a database and what lies beside it."""
    for each in (path, *(path.with_name(f"{path.name}{end}") for end in BESIDE)):
        each.unlink(missing_ok=True)
