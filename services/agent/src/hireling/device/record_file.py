"""An append-only file of records: one a line, each with a checksum, on the disk before anyone hears of it.

A line is ``<crc32, 8 hex digits> <JSON object>\\n``. A power cut can tear the last line: it was then never
synced, so nobody has seen it, and it is cut. Anything else that does not check means that the disk or a
person changed what may already have been published; then the file is refused, because going on could sign the
same number twice.
"""

import json
import os
import zlib
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from hireling.durable import PRIVATE_FILE, make_private_folder, sync_folder, write_atomically

Record = dict[str, Any]


class LogDamaged(Exception):
    """A record in the middle of the log does not check; the message names the file and the line."""


class RecordFile:
    """One file of records, open for appending."""

    def __init__(self, path: Path) -> None:
        """Open the file, made now if there is none, and read every record. Raises LogDamaged."""
        make_private_folder(path.parent)
        is_new = not path.exists()
        self._path = path
        self._descriptor = os.open(path, os.O_RDWR | os.O_APPEND | os.O_CREAT, PRIVATE_FILE)
        if is_new:
            sync_folder(path.parent)
        self.cut: str | None = None
        """What was cut off at opening, in words; None when the file was whole."""
        try:
            self.records = self._read()
        except BaseException:
            os.close(self._descriptor)
            raise

    @property
    def path(self) -> Path:
        """Return where the file is."""
        return self._path

    def append(self, record: Record) -> None:
        """Write one record and wait until the disk holds it."""
        self.append_unsynced(record)
        os.fdatasync(self._descriptor)

    def append_unsynced(self, record: Record) -> None:
        """Write one record that may be lost in a power cut: only for what the network will say again."""
        line = encode(record)
        written = os.write(self._descriptor, line)
        if written != len(line):
            os.ftruncate(self._descriptor, os.fstat(self._descriptor).st_size - written)
            raise OSError(f"{self._path}: the disk took {written} of {len(line)} bytes")

    def rewrite(self, records: Iterable[Record]) -> None:
        """Replace the file's content in one step."""
        write_atomically(self._path, b"".join(map(encode, records)))
        os.close(self._descriptor)
        self._descriptor = os.open(self._path, os.O_RDWR | os.O_APPEND, PRIVATE_FILE)

    def close(self) -> None:
        """Free the file; safe to call twice."""
        if self._descriptor >= 0:
            os.close(self._descriptor)
            self._descriptor = -1

    def _read(self) -> list[Record]:
        content = self._path.read_bytes()
        whole = len(content)
        lines = content.split(b"\n")
        torn = lines.pop()  # what follows the last newline
        records: list[Record] = []
        for number, line in enumerate(lines, start=1):
            record = decode(line)
            if record is None and number == len(lines) and not torn and b"\0" in line:
                # The file had grown, and the disk had not written all of the new part yet.
                torn = line + b"\n"
                break
            if record is None:
                raise LogDamaged(
                    f"{self._path} line {number} is damaged: its checksum does not match. It may be"
                    " published already, so it is neither cut nor signed again; put a whole copy there,"
                    " or let the rental end by its deadlines"
                )
            records.append(record)
        if torn:
            self.cut = (
                f"{self._path}: cut {len(torn)} bytes of a record torn after line {len(records)};"
                " it was never published"
            )
            os.ftruncate(self._descriptor, whole - len(torn))
            os.fsync(self._descriptor)
        return records


def encode(record: Record) -> bytes:
    """Return the record's line."""
    body = json.dumps(record, separators=(",", ":"), sort_keys=True).encode()
    return b"%08x %s\n" % (zlib.crc32(body), body)


def decode(line: bytes) -> Record | None:
    """Return the line's record, or None when it does not check."""
    checksum, space, body = line.partition(b" ")
    if not space or checksum != b"%08x" % zlib.crc32(body):
        return None
    record = json.loads(body)
    return record if isinstance(record, dict) else None
