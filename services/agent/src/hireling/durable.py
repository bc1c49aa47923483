"""Files that survive a power cut: either the old content or the new, never half of one."""

import os
import secrets
from collections.abc import Iterable
from pathlib import Path

PRIVATE_FILE = 0o600
PRIVATE_FOLDER = 0o700


def make_private_folder(folder: Path) -> Path:
    """Create the folder, readable by its owner alone, and return it."""
    folder.mkdir(mode=PRIVATE_FOLDER, parents=True, exist_ok=True)
    return folder


def write_atomically(path: Path, content: bytes | Iterable[bytes]) -> None:
    """Replace the file's content in one step and wait until the disk holds it; parts are written in turn.

    The file is its owner's alone (0600). Raises OSError, and then either content stands, whole.
    """
    descriptor = replace_atomically(path, content)
    try:
        sync_folder(path.parent)
    finally:
        os.close(descriptor)


def replace_atomically(path: Path, content: bytes | Iterable[bytes]) -> int:
    """Replace the file as `write_atomically` does, but for `sync_folder`, and return it open for appending.

    Raises OSError, and then the old content stands.
    """
    draft = path.with_name(f".{path.name}.{secrets.token_hex(4)}")
    descriptor = os.open(draft, os.O_RDWR | os.O_APPEND | os.O_CREAT | os.O_EXCL, PRIVATE_FILE)
    try:
        # The built-in: eventlet's os.fdopen closes the descriptor whatever it is told.
        with open(descriptor, "wb", closefd=False) as file:
            file.writelines([content] if isinstance(content, bytes) else content)
        os.fsync(descriptor)
        draft.replace(path)
    except BaseException:
        os.close(descriptor)
        draft.unlink(missing_ok=True)
        raise
    return descriptor


def sync_folder(folder: Path) -> None:
    """Wait until the disk holds the folder's own entries: a new or renamed file is only then safe."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
