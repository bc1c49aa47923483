"""Back up every service's database as of one moment, the encrypted keys, the deployment's record.

What came after is on the chain, in the devices' logs and in the parties' signed documents; docs/backup.md.
"""

from pathlib import Path

from services.chassis.migrations import known_revisions, schema_of
from services.messages.errors import OperatorError
from services.operator import sqlite_files
from services.operator.archive import (
    CLUSTER,
    DATABASES,
    DEPLOYMENT,
    FORMAT,
    KEYS,
    Manifest,
    copy_private,
    write_manifest,
    writing,
)
from services.operator.cluster import Programs, copied_at, version_of
from services.operator.order import Order
from services.operator.verbs import Finding

SQLITE = "databases"


def backup(to: Path, order: Order, *, cluster: Path | None = None) -> Finding:
    """Write a backup to a new folder, and check it.

    `cluster` is a checked copy of the cluster, made where PostgreSQL's programs are: it moves into the
    backup, which is then of its moment.

    Raises Conflict where there is something, Invalid where `cluster` is none, Unavailable where a database
    cannot be copied.
    """
    now = order.now
    with writing(to.absolute()) as folder:
        if cluster is not None:
            now, databases, server = copied_at(cluster), order.places.named, version_of(cluster)
            cluster.rename(folder / CLUSTER)
        elif order.settings.postgres_url is not None:
            databases, server = order.places.named, _copy_cluster(folder, order)
        else:
            databases, server = _copy_files(folder, order), None
        _copy_keys(folder, order)
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


def _copy_cluster(folder: Path, order: Order) -> int:
    settings = order.settings
    assert settings.postgres_url is not None  # noqa: S101 - the caller looked
    programs = Programs(settings.postgres_programs, user=settings.postgres_user)
    order.say("copying the cluster")
    programs.copy(settings.postgres_url.get_secret_value(), folder / CLUSTER)
    order.say("checking the copy")
    programs.verify(folder / CLUSTER)
    return version_of(folder / CLUSTER)


def _copy_files(folder: Path, order: Order) -> dict[str, str]:
    files = order.places.sqlite
    if set(files) != set(DATABASES):
        raise OperatorError(
            "no_postgres_url", "the services' databases are PostgreSQL's: name it in OPERATOR_POSTGRES_URL"
        )
    for service, url in order.places.databases.items():
        schema = schema_of(service, url=url)
        if not schema.is_current:
            raise OperatorError(
                "schema_mismatch",
                f"the database of {service} is at revision {schema.current}, not {schema.needed}: "
                "back it up with the version that runs on it",
            )
    order.say("copying the databases")
    sqlite_files.copy_together(files, folder / SQLITE)
    for service in files:
        sqlite_files.check(folder / SQLITE / f"{service}.db")
    return {service: f"{SQLITE}/{service}.db" for service in files}


def _copy_keys(folder: Path, order: Order) -> None:
    order.say("copying the encrypted keys")
    # Never what opens them, which may lie beside them.
    for path in sorted(order.places.keys.glob("*.json")):
        copy_private(path, folder / KEYS / path.name)
    if order.places.deployment.exists():
        copy_private(order.places.deployment, folder / DEPLOYMENT)
