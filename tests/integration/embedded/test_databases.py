"""Databases of other versions: an older one is copied and migrated, a newer one is left alone."""

import sqlite3
from contextlib import closing
from pathlib import Path

import pytest
from alembic import command

from services.chassis.database import open_database
from services.chassis.migrations import _DATABASE, _config, schema_of
from services.embedded.databases import upgrade
from services.embedded.errors import EmbeddedError


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return an empty state folder, which the services' settings name."""
    monkeypatch.setenv("HIRELING_HOME", str(tmp_path))
    monkeypatch.delenv("SETTLEMENT_DATABASE_URL", raising=False)
    return tmp_path


def at_the_first_revision(home: Path) -> None:
    """Make settlement's database as the first version made it, with a log that the chain had told by then."""
    upgrade("settlement")
    database = open_database(f"sqlite:///{home}/settlement.db")
    config = _config("services.settlement")
    config.attributes[_DATABASE] = database
    command.downgrade(config, "0001")
    database.close()
    with closing(sqlite3.connect(home / "settlement.db")) as file, file:
        file.execute("INSERT INTO chain_log VALUES (7, 1, '0xaa', 'Opened', '0xbb', '{}')")


def test_makes_a_new_database_without_a_word(home: Path) -> None:
    assert upgrade("settlement") is None
    assert schema_of("settlement").is_current
    assert upgrade("settlement") is None


def test_migrates_an_older_database_says_so_and_keeps_a_copy(home: Path) -> None:
    at_the_first_revision(home)
    said = upgrade("settlement")
    newest = schema_of("settlement")
    assert said == (
        f"settlement: migrated from revision 0001 to {newest.needed};"
        " the old one is kept as settlement.0001.db"
    )
    assert newest.is_current
    with closing(sqlite3.connect(home / "settlement.db")) as now:
        log = "SELECT block, position, row, tx_hash, name, subject, arguments FROM chain_log"
        assert now.execute(log).fetchall() == [(7, 1, 0, "0xaa", "Opened", "0xbb", "{}")]
    with closing(sqlite3.connect(home / "settlement.0001.db")) as kept:
        assert kept.execute("SELECT version_num FROM alembic_version").fetchall() == [("0001",)]


def test_leaves_a_newer_database_alone(home: Path) -> None:
    upgrade("settlement")
    with closing(sqlite3.connect(home / "settlement.db")) as database, database:
        database.execute("UPDATE alembic_version SET version_num = '9999'")
    with pytest.raises(EmbeddedError, match="at revision 9999, which a newer version wrote"):
        upgrade("settlement")
