"""Backups of the embedded marketplace's files: one moment of all, and only a whole one is put back."""

import json
import shutil
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import closing, contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import select, text

from services.chassis.database import Database, open_database
from services.chassis.forgetting import KeepingSettings, forget_events
from services.chassis.handled import note_rows
from services.chassis.migrations import migrate
from services.chassis.settings import DatabaseSettings
from services.chassis.tables import INBOX
from services.messages.errors import Conflict, Invalid, NotFound, OperatorError
from services.operator.archive import DATABASES, MANIFEST
from services.operator.backup import backup
from services.operator.order import Order, Places
from services.operator.restore import restore, restore_beside
from services.operator.settings import BackupSettings

NOW = datetime(2026, 11, 29, 12, tzinfo=UTC)
RESTORED_AT = NOW + timedelta(days=60)
SETTINGS = BackupSettings(resend_hours=1)


def silent(_: str) -> None:
    """Say nothing."""


def opened(service: str) -> Database:
    return open_database(DatabaseSettings.of(service).database_url)


def told(database: Database, key: str, *, at: datetime) -> None:
    """Add an event that left."""
    insert = text(
        "INSERT INTO outbox (key, source, type, payload, created_at, sent_at)"
        " VALUES (:key, 's', 't', '{}', :at, :at)"
    )
    with database.unit_of_work() as session:
        session.execute(insert, {"key": key, "at": f"{at.replace(tzinfo=None)}"})


def events(service: str) -> dict[str, bool]:
    """Return the keys of a service's events, and whether each left."""
    with closing(opened(service)) as database, database.snapshot() as session:
        return {key: at is not None for key, at in session.execute(text("SELECT key, sent_at FROM outbox"))}


@pytest.fixture(scope="module")
def migrated(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder with every service's database, as new."""
    folder = tmp_path_factory.mktemp("migrated")
    for service in DATABASES:
        migrate(service, url=f"sqlite:///{folder / service}.db")
    return folder


@pytest.fixture
def home(tmp_path: Path, migrated: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return the state folder of a marketplace that has databases, keys and a record."""
    for service in DATABASES:
        monkeypatch.delenv(f"{service.upper()}_DATABASE_URL", raising=False)
    home = tmp_path / "home"
    monkeypatch.setenv("HIRELING_HOME", str(home))
    monkeypatch.delenv("HIRELING_DEPLOYMENT", raising=False)
    shutil.copytree(migrated, home)
    keys = home / "secrets" / "settlement"
    keys.mkdir(parents=True)
    (keys / "relayer.json").write_text('{"version": 3}')
    (keys / "passphrase").write_text("opens-everything")
    (home / "deployments").mkdir()
    (home / "deployments" / "31337.json").write_text("{}")
    return home


@pytest.fixture
def away(tmp_path: Path, home: Path) -> Path:
    """Return a backup of it."""
    with closing(opened("listing")) as database:
        told(database, "old", at=NOW - timedelta(hours=2))
        told(database, "fresh", at=NOW - timedelta(minutes=5))
    place = tmp_path / "away"
    assert back_up(place).is_well
    return place


def order(now: datetime) -> Order:
    return Order(settings=SETTINGS, places=Places.of_settings(), now=now, say=silent)


def back_up(place: Path) -> Any:
    return backup(place, order(NOW))


def put_back(place: Path, *, force: bool = False) -> Any:
    return restore(place, order(RESTORED_AT), force=force)


def destroy(home: Path) -> None:
    """Delete all that a backup has."""
    for path in (*home.glob("*.db*"), *home.glob("secrets/settlement/*.json"), *home.glob("deployments/*")):
        path.unlink()


class TestBackup:
    def test_is_of_one_moment_while_services_write(self, tmp_path: Path, home: Path) -> None:
        """Each number goes to two databases in turn: at no moment are they further apart than one."""
        with writing_in_turn("listing", "settlement"):
            back_up(tmp_path / "away")
        destroy(home)
        put_back(tmp_path / "away")
        first, second = len(events("listing")), len(events("settlement"))
        assert first > 0
        assert 0 <= first - second <= 1

    def test_has_not_what_opens_the_keys(self, away: Path) -> None:
        content = b"".join(path.read_bytes() for path in away.rglob("*") if path.is_file())
        assert b"opens-everything" not in content
        assert (away / "keys" / "relayer.json").exists()

    def test_never_replaces_another(self, away: Path) -> None:
        with pytest.raises(Conflict, match="never replaces"):
            back_up(away)

    def test_leaves_nothing_where_it_fails(self, tmp_path: Path, home: Path) -> None:
        (home / "metering.db").write_bytes(b"no database at all, and longer than its header would be" * 4)
        with pytest.raises(Exception, match="not a database"):
            back_up(tmp_path / "away")
        assert list(tmp_path.iterdir()) == [home]

    @pytest.mark.usefixtures("home")
    def test_takes_no_half_copy_of_a_cluster(self, tmp_path: Path) -> None:
        copy = tmp_path / "copy"
        copy.mkdir()
        (copy / "PG_VERSION").write_text("15")
        with pytest.raises(Invalid, match="no whole copy of a cluster"):
            backup(tmp_path / "away", order(NOW), cluster=copy)
        assert copy.exists()
        assert not (tmp_path / "away").exists()


class TestRestore:
    def test_asks_which_server_has_the_cluster(self, away: Path) -> None:
        with pytest.raises(OperatorError, match="OPERATOR_POSTGRES_URL"):
            restore_beside(away, order(NOW), force=False)

    def test_brings_back_what_was_there_and_sends_the_last_hours_events_again(
        self, home: Path, away: Path
    ) -> None:
        with closing(opened("listing")) as database:
            told(database, "after the backup", at=NOW + timedelta(minutes=1))
        destroy(home)
        finding = put_back(away)
        assert events("listing") == {"old": True, "fresh": False}
        assert {row["service"]: row["events sent again"] for row in finding.rows}["listing"] == 1
        assert (home / "secrets" / "settlement" / "relayer.json").read_text() == '{"version": 3}'
        assert (home / "deployments" / "31337.json").read_text() == "{}"

    def test_has_nobody_forget_what_is_about_to_come_again_however_old_the_backup_is(
        self, tmp_path: Path, home: Path
    ) -> None:
        with closing(opened("listing")) as database, database.unit_of_work() as session:
            for key, at in (("fresh", NOW - timedelta(minutes=5)), ("old", NOW - timedelta(days=3))):
                note_rows(session, [{"handler": "h", "key": key, "handled_at": at}])
        back_up(tmp_path / "away")
        destroy(home)
        put_back(tmp_path / "away")
        with closing(opened("listing")) as database:
            forget_events(database, KeepingSettings(), service="listing", now=RESTORED_AT, pause=lambda: None)
            with database.snapshot() as session:
                assert list(session.execute(select(INBOX.c.key)).scalars()) == ["fresh"]

    def test_replaces_nothing_unless_it_is_forced(self, home: Path, away: Path) -> None:
        with closing(opened("listing")) as database:
            told(database, "after the backup", at=NOW)
        with pytest.raises(Conflict, match=r"listing\.db"):
            put_back(away)
        assert "after the backup" in events("listing")
        put_back(away, force=True)
        assert "after the backup" not in events("listing")

    @pytest.mark.parametrize("name", ["databases/metering.db", "keys/relayer.json", "deployment.json"])
    def test_refuses_a_file_that_is_not_what_was_written(self, home: Path, away: Path, name: str) -> None:
        content = bytearray((away / name).read_bytes())
        content[len(content) // 2] ^= 1
        (away / name).write_bytes(content)
        destroy(home)
        with pytest.raises(Invalid, match="backup_broken"):
            put_back(away)
        assert not list(home.glob("*.db"))

    def test_refuses_a_backup_that_was_not_finished(self, home: Path, away: Path) -> None:
        (away / MANIFEST).unlink()
        with pytest.raises(NotFound, match="no finished backup"):
            put_back(away)

    def test_refuses_a_newer_versions_backup(self, home: Path, away: Path) -> None:
        manifest = json.loads((away / MANIFEST).read_text())
        manifest["revisions"]["settlement"] = "9999"
        (away / MANIFEST).write_text(json.dumps(manifest))
        destroy(home)
        with pytest.raises(OperatorError, match="revision 9999, which this version does not know"):
            put_back(away)


class TestVerb:
    def test_says_nothing_beside_its_answer(self, home: Path, tmp_path: Path) -> None:
        for verb in (["backup", str(tmp_path / "away")], ["restore", "--force", str(tmp_path / "away")]):
            command = [sys.executable, "-m", "services.operator", *verb]
            done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
            assert (done.returncode, done.stderr) == (0, ""), done.stdout
            assert done.stdout


@contextmanager
def writing_in_turn(*services: str) -> Iterator[None]:
    """Have a writer add one event after the other, each to all of these services, one by one."""
    databases, stop, begun = [opened(service) for service in services], threading.Event(), threading.Event()

    def write() -> None:
        number = 0
        while not stop.is_set():
            for database in databases:
                told(database, str(number), at=NOW)
            number += 1
            if number == 20:
                begun.set()

    writer = threading.Thread(target=write)
    writer.start()
    try:
        assert begun.wait(60)
        yield
    finally:
        stop.set()
        writer.join()
        for database in databases:
            database.close()
