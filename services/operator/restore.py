"""Put a backup back where nothing runs, and have the events of its last hours leave again; docs/backup.md.

It is checked whole before anything is replaced.
"""

import os
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlsplit

from services.chassis.database import open_database
from services.chassis.handled import remember_longer
from services.chassis.migrations import schema_of
from services.chassis.outbox import send_again
from services.messages.errors import Conflict, Invalid, OperatorError
from services.operator import sqlite_files
from services.operator.archive import (
    CLUSTER,
    DATABASES,
    DEPLOYMENT,
    KEYS,
    Manifest,
    copy_private,
    read_manifest,
)
from services.operator.cluster import Programs, require_stopped
from services.operator.order import Order
from services.operator.verbs import Finding

# An event's moment and its handling's are of two machines' clocks.
CLOCKS_APART = timedelta(hours=1)
PRIVATE, PUBLIC = 0o600, 0o644


def restore(source: Path, order: Order, *, force: bool) -> Finding:
    """Put a backup back: its databases, its keys and its record.

    Raises NotFound and Invalid where it is no whole backup, OperatorError where this version cannot use it,
    and Conflict where it would replace something and `force` does not say so.
    """
    back = _checked(source, order, force=force)
    return _told(back, _restore_files(back) if back.manifest.kind == "sqlite" else _restore_cluster(back))


def restore_beside(source: Path, order: Order, *, force: bool) -> Finding:
    """Do what is left where the cluster is back, put there and served by whoever has PostgreSQL's programs.

    Raises as `restore` does.
    """
    back = _checked(source, order, force=force)
    return _told(back, _restore_beside(back))


@dataclass(frozen=True)
class _Return:
    """A backup on its way back."""

    source: Path
    manifest: Manifest
    order: Order
    force: bool
    """Whether it may replace what is there."""

    @property
    def since(self) -> datetime:
        """Return from when on events leave again."""
        return self.manifest.made_at - timedelta(hours=self.order.settings.resend_hours)


def _checked(source: Path, order: Order, *, force: bool) -> _Return:
    order.say("checking the backup")
    return _Return(source, read_manifest(source), order, force)


def _told(back: _Return, rows: list[dict[str, Any]]) -> Finding:
    headings = ("service", "revision", "events sent again")
    summary = f"the state of {back.manifest.made_at:%Y-%m-%d %H:%M:%S} UTC is back"
    return Finding(headings, rows, f"{summary}: start the servers and services, then reconcile", is_well=True)


def _restore_cluster(back: _Return) -> list[dict[str, Any]]:
    settings, manifest = back.order.settings, back.manifest
    programs, data = Programs(settings.postgres_programs, user=settings.postgres_user), settings.postgres_data
    if data is None:
        raise OperatorError("no_postgres_data", "name the server's data folder in OPERATOR_POSTGRES_DATA")
    if programs.version != manifest.server:
        raise OperatorError(
            "other_postgresql",
            f"the backup is of PostgreSQL {manifest.server}, and {programs.version} is installed here",
        )
    programs.verify(back.source / CLUSTER)
    require_stopped(data)
    filled = [data] if data.exists() and any(data.iterdir()) else []
    _require_room(back, filled)
    for old in data.iterdir() if filled else ():
        # The folder itself may be where a volume is mounted.
        shutil.rmtree(old) if old.is_dir() and not old.is_symlink() else old.unlink()
    back.order.say("putting the cluster back")
    programs.put_back(back.source / CLUSTER, data)
    _restore_keys(back)
    back.order.say("playing the cluster's log")
    with programs.serving(data, superuser=settings.superuser) as cluster:
        urls = {service: cluster.format(database=name) for service, name in manifest.databases.items()}
        return _send_again(back, urls)


def _restore_beside(back: _Return) -> list[dict[str, Any]]:
    postgres_url = back.order.settings.postgres_url
    if postgres_url is None or back.manifest.kind != "postgresql":
        raise OperatorError("no_postgres_url", "name the restored server in OPERATOR_POSTGRES_URL")
    server = urlsplit(postgres_url.get_secret_value())
    _require_room(back, [])
    _restore_keys(back)
    urls = {
        service: server._replace(scheme="postgresql+psycopg", path=f"/{quote(name)}").geturl()
        for service, name in back.manifest.databases.items()
    }
    return _send_again(back, urls)


def _restore_files(back: _Return) -> list[dict[str, Any]]:
    files = back.order.places.sqlite
    if set(files) != set(DATABASES):
        raise OperatorError(
            "other_kind", "the backup is of SQLite files, and the services' databases are none"
        )
    copies = {service: back.source / back.manifest.databases[service] for service in files}
    for copy in copies.values():
        sqlite_files.check(copy)
    _require_room(back, [path for path in files.values() if path.exists()])
    back.order.say("putting the databases back")
    for service, path in files.items():
        sqlite_files.remove(path)
        copy_private(copies[service], path)
    _restore_keys(back)
    return _send_again(back, back.order.places.databases)


def _send_again(back: _Return, urls: Mapping[str, str]) -> list[dict[str, Any]]:
    rows = []
    for service, url in urls.items():
        found = schema_of(service, url=url)
        if found.current != back.manifest.revisions[service]:
            raise Invalid("backup_broken", f"the database of {service} is at revision {found.current}")
        database = open_database(url)
        try:
            with database.queue_work() as session:
                events = send_again(session, since=back.since)
                # However old the backup is, nobody forgets what he heard before it comes again.
                remember_longer(session, since=back.since - CLOCKS_APART, now=back.order.now)
        finally:
            database.close()
        rows.append({"service": service, "revision": found.current, "events sent again": events})
    return rows


def _other_keys(back: _Return) -> list[Path]:
    """Return the keys and the record that are there and not the backup's."""
    source, places = back.source, back.order.places
    pairs = [(path, places.keys / path.name) for path in sorted((source / KEYS).glob("*.json"))]
    pairs.append((source / DEPLOYMENT, places.deployment))
    return [
        there
        for ours, there in pairs
        if ours.exists() and there.exists() and ours.read_bytes() != there.read_bytes()
    ]


def _restore_keys(back: _Return) -> None:
    source, places = back.source, back.order.places
    back.order.say("putting the keys back")
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


def _require_room(back: _Return, filled: list[Path]) -> None:
    """Raise Conflict where what is `filled`, or other keys, would be replaced and `force` does not say so."""
    filled = [*filled, *_other_keys(back)]
    if filled and not back.force:
        raise Conflict(
            "not_empty", f"there is something at {', '.join(map(str, filled))}: --force replaces it for good"
        )
