"""A backup as a folder: what is in it, whether it is whole, and whether this version can use it."""

import hashlib
import json
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict, ValidationError

from hireling.durable import make_private_folder, sync_folder, write_atomically
from services.chassis.health import SERVICES
from services.chassis.migrations import known_revisions
from services.messages.errors import Conflict, Invalid, NotFound, OperatorError

FORMAT = 1
MANIFEST = "manifest.json"
# Each has a database.
DATABASES = (*SERVICES, "gateway")
CLUSTER = "cluster"
KEYS = "keys"
DEPLOYMENT = "deployment.json"
_PIECE = 1 << 20


class Manifest(BaseModel):
    """What a backup says of itself."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    format: int
    made_at: datetime
    kind: Literal["sqlite", "postgresql"]
    server: int | None
    """PostgreSQL's major version."""
    databases: Mapping[str, str]
    """By service: its file in the backup, or its database's name in the cluster."""
    revisions: Mapping[str, str]
    """By service: its schema's."""
    files: Mapping[str, str]
    """Of each file that is not within the cluster, which has a list of its own: its SHA-256."""


@contextmanager
def writing(place: Path) -> Iterator[Path]:
    """Give a folder to write a backup into; it is at its place when the block ends, and nowhere if it raises.

    Raises Conflict where something is there already.
    """
    if place.exists():
        raise Conflict("exists", f"{place} exists: a backup never replaces another")
    draft = place.with_name(f".{place.name}.unfinished")
    shutil.rmtree(draft, ignore_errors=True)
    make_private_folder(draft)
    try:
        yield draft
        draft.rename(place)
        sync_folder(place.parent)
    finally:
        shutil.rmtree(draft, ignore_errors=True)


def write_manifest(folder: Path, manifest: Manifest) -> None:
    """Write what the backup says of itself, with the hashes of its files: last, for it makes it one."""
    files = {
        str(path.relative_to(folder)): _hash_of(path)
        for path in sorted(folder.rglob("*"))
        if path.is_file() and not _is_in_cluster(path.relative_to(folder))
    }
    whole = manifest.model_copy(update={"files": files})
    write_atomically(folder / MANIFEST, whole.model_dump_json(indent=1).encode())


def read_manifest(folder: Path) -> Manifest:
    """Return what a backup says of itself, whose files are as they were written.

    Raises NotFound, Invalid where it is broken, and OperatorError where another version made it that this one
    does not know.
    """
    try:
        manifest = _parsed((folder / MANIFEST).read_text(), folder)
    except (FileNotFoundError, NotADirectoryError) as error:
        raise NotFound("no_backup", f"{folder} is no finished backup: it has no {MANIFEST}") from error
    for name, expected in manifest.files.items():
        path = folder / name
        if not path.is_file():
            raise Invalid("backup_broken", f"{path} is missing", file=name)
        if _hash_of(path) != expected:
            raise Invalid("backup_broken", f"{path} is not what was written", file=name)
    _require_known(manifest)
    return manifest


def _parsed(text: str, folder: Path) -> Manifest:
    try:
        found = json.loads(text)
        if isinstance(found, dict) and found.get("format") != FORMAT:
            raise OperatorError(
                "other_format", f"{folder} is of format {found.get('format')}, this version reads {FORMAT}"
            )
        return Manifest.model_validate_json(text)
    except (ValueError, ValidationError) as error:
        raise Invalid("backup_broken", f"{folder / MANIFEST} does not say what it should") from error


def _require_known(manifest: Manifest) -> None:
    for service in DATABASES:
        revision = manifest.revisions.get(service)
        if revision is None or service not in manifest.databases:
            raise Invalid("backup_broken", f"the backup has no database of {service}", service=service)
        if revision not in known_revisions(service):
            raise OperatorError(
                "newer_backup",
                f"the database of {service} is at revision {revision}, which this version does not know: "
                "restore it with the version that made it, or a later one",
                service=service,
                revision=revision,
            )


def copy_private(source: Path, target: Path) -> None:
    """Copy a file so that only its owner may read the copy, and the disk holds it."""
    make_private_folder(target.parent)
    with source.open("rb") as file:
        write_atomically(target, iter(lambda: file.read(_PIECE), b""))


def _is_in_cluster(path: Path) -> bool:
    # Its own list of hashes is hashed, so that nobody changes both.
    return path.parts[0] == CLUSTER and path.parts[1:] != ("backup_manifest",)


def _hash_of(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
