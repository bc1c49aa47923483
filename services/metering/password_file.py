"""Mosquitto's password file, and the signal on which Mosquitto reads it again.

On SIGHUP Mosquitto checks everybody that is connected against the file, and cuts off who is no longer in it
or has another password there.
"""

import contextlib
import os
import signal
import tempfile
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

BROKER = "mosquitto"
# Group: where the broker runs under another number, both are in one.
OWN_MODE = 0o640


@dataclass(frozen=True)
class FileStamp:
    """What tells whether a file is still the one that was written."""

    inode: int
    size: int
    written_ns: int

    @classmethod
    def of(cls, path: Path) -> "FileStamp | None":
        """Return a file's stamp, None where there is no file."""
        try:
            found = path.stat()
        except FileNotFoundError:
            return None
        return cls(found.st_ino, found.st_size, found.st_mtime_ns)


def write_passwords(path: Path, accounts: Iterable[tuple[str, str]], *, head: str = "") -> FileStamp | None:
    """Write the file whole or not at all: `head`, then a line for each name and what is kept of its password.

    The owner and the mode of the file that it replaces stay, so that the broker's own user may read it.
    """
    lines = "".join(f"{username}:{kept}\n" for username, kept in accounts)
    before = path.stat() if path.exists() else None
    descriptor, draft = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}-")
    try:
        with os.fdopen(descriptor, "w") as file:
            os.fchmod(descriptor, OWN_MODE if before is None else before.st_mode & 0o777)
            if before is not None and (before.st_uid, before.st_gid) != (os.geteuid(), os.getegid()):
                os.fchown(descriptor, before.st_uid, before.st_gid)
            file.write(head + lines)
            file.flush()
            os.fsync(descriptor)
        Path(draft).replace(path)
    except BaseException:
        with contextlib.suppress(FileNotFoundError):
            Path(draft).unlink()
        raise
    return FileStamp.of(path)


def tell_broker(pid_file: Path) -> bool:
    """Have Mosquitto read its files again; return whether it runs. One that starts later reads them anyway.

    The number of a broker that is gone may by now be another process's, which the signal would end.
    """
    try:
        pid = int(pid_file.read_text().strip() or "0")
        if pid < 1 or Path(f"/proc/{pid}/comm").read_text().strip() != BROKER:
            return False
        os.kill(pid, signal.SIGHUP)
    except (FileNotFoundError, ProcessLookupError, ValueError):
        return False
    return True
