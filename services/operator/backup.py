"""Back up and restore every service's database as of one moment, the encrypted keys, the deployment's record.

What came after is on the chain, in the devices' logs and in the parties' signed documents; docs/backup.md.
"""

import os
import shutil
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlsplit

from services.chassis.database import open_database
from services.chassis.inbox import remember_longer
from services.chassis.migrations import known_revisions, schema_of
from services.chassis.outbox import send_again
from services.chassis.settings import DatabaseSettings
from services.messages.errors import Conflict, Invalid, OperatorError
from services.operator import sqlite_files
from services.operator.archive import (
    CLUSTER,
    DATABASES,
    DEPLOYMENT,
    FORMAT,
    KEYS,
    Manifest,
    copy_private,
    read_manifest,
    write_manifest,
    writing,
)
from services.operator.cluster import Programs, copied_at, name_in, require_stopped, version_of
from services.operator.settings import BackupSettings
from services.operator.verbs import Finding
from services.settlement.settings import ChainSettings, SettlementSettings

# An event's moment and its handling's are of two machines' clocks.
CLOCKS_APART = timedelta(hours=1)
SQLITE = "databases"
FILE = "sqlite:///"
PRIVATE, PUBLIC = 0o600, 0o644
Say = Callable[[str], None]


@dataclass(frozen=True)
class Places:
    """Where what is backed up lives."""

    databases: Mapping[str, str]
    keys: Path
    deployment: Path

    @classmethod
    def of_settings(cls) -> "Places":
        """Return them as the services' own settings name them."""
        return cls(
            databases={service: DatabaseSettings.of(service).database_url for service in DATABASES},
            keys=SettlementSettings().keys,
            deployment=ChainSettings().deployment,
        )

    @property
    def sqlite(self) -> dict[str, Path]:
        """Return the services' SQLite files."""
        return {
            service: Path(url.removeprefix(FILE))
            for service, url in self.databases.items()
            if url.startswith(FILE)
        }

    @property
    def named(self) -> dict[str, str]:
        """Return the databases' names in the cluster: the services' own where nothing says otherwise."""
        return {
            service: (not url.startswith(FILE) and name_in(url)) or service
            for service, url in self.databases.items()
        }


def backup(
    to: Path,
    *,
    settings: BackupSettings,
    places: Places,
    now: datetime,
    say: Say,
    cluster: Path | None = None,
) -> Finding:
    """Write a backup to a new folder, and check it.

    `cluster` is a checked copy of the cluster, made where PostgreSQL's programs are: it moves into the
    backup, which is then of its moment.

    Raises Conflict where there is something, Invalid where `cluster` is none, Unavailable where a database
    cannot be copied.
    """
    with writing(to.absolute()) as folder:
        if cluster is not None:
            now, databases, server = copied_at(cluster), places.named, version_of(cluster)
            cluster.rename(folder / CLUSTER)
        elif settings.postgres_url is not None:
            databases, server = places.named, _copy_cluster(folder, settings, say)
        else:
            databases, server = _copy_files(folder, places, say), None
        _copy_keys(folder, places, say)
        manifest = Manifest(
            format=FORMAT,
            made_at=now,
            kind="sqlite" if server is None else "postgresql",
            server=server,
            databases=databases,
            # A service does not run on any other revision than its newest.
            revisions={service: known_revisions(service)[0] for service in DATABASES},
            files={},
        )
        write_manifest(folder, manifest)
    keys = sorted(path.name for path in (to / KEYS).glob("*.json"))
    summary = (
        f"{to} has {len(databases)} databases as of one moment and the keys {', '.join(keys) or '(none)'}"
    )
    return Finding((), [], f"{summary}; keep the keys' passphrase apart from it", is_well=bool(keys))


def restore(
    source: Path,
    *,
    force: bool,
    settings: BackupSettings,
    places: Places,
    now: datetime,
    say: Say,
    is_served: bool = False,
) -> Finding:
    """Put a backup back where nothing runs, and have the events of its last hours leave again.

    With `is_served` the cluster is back, put there by whoever has PostgreSQL's programs, and served: the rest
    is done.

    Raises NotFound and Invalid where it is no whole backup, OperatorError where this version cannot use it,
    and Conflict where it would replace something and `force` does not say so.
    """
    say("checking the backup")
    manifest = read_manifest(source)
    since = manifest.made_at - timedelta(hours=settings.resend_hours)
    if is_served:
        rows = _restore_beside(
            source, manifest, force=force, settings=settings, places=places, since=since, now=now, say=say
        )
    elif manifest.kind == "postgresql":
        rows = _restore_cluster(
            source, manifest, force=force, settings=settings, places=places, since=since, now=now, say=say
        )
    else:
        rows = _restore_files(source, manifest, force=force, places=places, since=since, now=now, say=say)
    headings = ("service", "revision", "events sent again")
    summary = f"the state of {manifest.made_at:%Y-%m-%d %H:%M:%S} UTC is back"
    return Finding(headings, rows, f"{summary}: start the servers and services, then reconcile", is_well=True)


def _copy_cluster(folder: Path, settings: BackupSettings, say: Say) -> int:
    assert settings.postgres_url is not None  # noqa: S101 - the caller looked
    programs = Programs(settings.postgres_programs, user=settings.postgres_user)
    say("copying the cluster")
    programs.copy(settings.postgres_url.get_secret_value(), folder / CLUSTER)
    say("checking the copy")
    programs.verify(folder / CLUSTER)
    return version_of(folder / CLUSTER)


def _copy_files(folder: Path, places: Places, say: Say) -> dict[str, str]:
    files = places.sqlite
    if set(files) != set(DATABASES):
        raise OperatorError(
            "no_postgres_url", "the services' databases are PostgreSQL's: name it in OPERATOR_POSTGRES_URL"
        )
    for service, url in places.databases.items():
        schema = schema_of(service, url=url)
        if not schema.is_current:
            raise OperatorError(
                "schema_mismatch",
                f"the database of {service} is at revision {schema.current}, not {schema.needed}: "
                "back it up with the version that runs on it",
            )
    say("copying the databases")
    sqlite_files.copy_together(files, folder / SQLITE)
    for service in files:
        sqlite_files.check(folder / SQLITE / f"{service}.db")
    return {service: f"{SQLITE}/{service}.db" for service in files}


def _copy_keys(folder: Path, places: Places, say: Say) -> None:
    say("copying the encrypted keys")
    # Never what opens them, which may lie beside them.
    for path in sorted(places.keys.glob("*.json")):
        copy_private(path, folder / KEYS / path.name)
    if places.deployment.exists():
        copy_private(places.deployment, folder / DEPLOYMENT)


def _restore_cluster(
    source: Path,
    manifest: Manifest,
    *,
    force: bool,
    settings: BackupSettings,
    places: Places,
    since: datetime,
    now: datetime,
    say: Say,
) -> list[dict[str, Any]]:
    programs, data = Programs(settings.postgres_programs, user=settings.postgres_user), settings.postgres_data
    if data is None:
        raise OperatorError("no_postgres_data", "name the server's data folder in OPERATOR_POSTGRES_DATA")
    if programs.version != manifest.server:
        raise OperatorError(
            "other_postgresql",
            f"the backup is of PostgreSQL {manifest.server}, and {programs.version} is installed here",
        )
    programs.verify(source / CLUSTER)
    require_stopped(data)
    filled = [data] if data.exists() and any(data.iterdir()) else []
    _require_room([*filled, *_other_keys(source, places)], force=force)
    for old in data.iterdir() if filled else ():
        # The folder itself may be where a volume is mounted.
        shutil.rmtree(old) if old.is_dir() and not old.is_symlink() else old.unlink()
    say("putting the cluster back")
    programs.put_back(source / CLUSTER, data)
    _restore_keys(source, places, say)
    say("playing the cluster's log")
    with programs.serving(data, superuser=settings.superuser) as cluster:
        urls = {service: cluster.format(database=name) for service, name in manifest.databases.items()}
        return _send_again(manifest, urls, since=since, now=now)


def _restore_beside(
    source: Path,
    manifest: Manifest,
    *,
    force: bool,
    settings: BackupSettings,
    places: Places,
    since: datetime,
    now: datetime,
    say: Say,
) -> list[dict[str, Any]]:
    if settings.postgres_url is None or manifest.kind != "postgresql":
        raise OperatorError("no_postgres_url", "name the restored server in OPERATOR_POSTGRES_URL")
    server = urlsplit(settings.postgres_url.get_secret_value())
    _require_room(_other_keys(source, places), force=force)
    _restore_keys(source, places, say)
    urls = {
        service: server._replace(scheme="postgresql+psycopg", path=f"/{quote(name)}").geturl()
        for service, name in manifest.databases.items()
    }
    return _send_again(manifest, urls, since=since, now=now)


def _restore_files(
    source: Path,
    manifest: Manifest,
    *,
    force: bool,
    places: Places,
    since: datetime,
    now: datetime,
    say: Say,
) -> list[dict[str, Any]]:
    files = places.sqlite
    if set(files) != set(DATABASES):
        raise OperatorError(
            "other_kind", "the backup is of SQLite files, and the services' databases are none"
        )
    for service in files:
        sqlite_files.check(source / manifest.databases[service])
    _require_room(
        [*(path for path in files.values() if path.exists()), *_other_keys(source, places)], force=force
    )
    say("putting the databases back")
    for service, path in files.items():
        sqlite_files.remove(path)
        copy_private(source / manifest.databases[service], path)
    _restore_keys(source, places, say)
    return _send_again(manifest, places.databases, since=since, now=now)


def _send_again(
    manifest: Manifest, urls: Mapping[str, str], *, since: datetime, now: datetime
) -> list[dict[str, Any]]:
    rows = []
    for service, url in urls.items():
        found = schema_of(service, url=url)
        if found.current != manifest.revisions[service]:
            raise Invalid("backup_broken", f"the database of {service} is at revision {found.current}")
        database = open_database(url)
        try:
            with database.queue_work() as session:
                events = send_again(session, since=since)
                # However old the backup is, nobody forgets what he heard before it comes again.
                remember_longer(session, since=since - CLOCKS_APART, now=now)
        finally:
            database.close()
        rows.append({"service": service, "revision": found.current, "events sent again": events})
    return rows


def _other_keys(source: Path, places: Places) -> list[Path]:
    """Return the keys and the record that are there and not the backup's."""
    pairs = [(path, places.keys / path.name) for path in sorted((source / KEYS).glob("*.json"))]
    pairs.append((source / DEPLOYMENT, places.deployment))
    return [
        there
        for ours, there in pairs
        if ours.exists() and there.exists() and ours.read_bytes() != there.read_bytes()
    ]


def _restore_keys(source: Path, places: Places, say: Say) -> None:
    say("putting the keys back")
    for path in sorted((source / KEYS).glob("*.json")):
        _put(path, places.keys / path.name)
    if (source / DEPLOYMENT).exists():
        _put(source / DEPLOYMENT, places.deployment, mode=PUBLIC)


def _put(path: Path, there: Path, *, mode: int = PRIVATE) -> None:
    # What is the same may lie where only others write.
    if there.exists() and there.read_bytes() == path.read_bytes():
        return
    copy_private(path, there)
    there.chmod(mode)
    if os.geteuid() == 0:
        # Whoever reads it owns its folder.
        folder = there.parent.stat()
        os.chown(there, folder.st_uid, folder.st_gid)


def _require_room(filled: list[Path], *, force: bool) -> None:
    if filled and not force:
        raise Conflict(
            "not_empty", f"there is something at {', '.join(map(str, filled))}: --force replaces it for good"
        )
