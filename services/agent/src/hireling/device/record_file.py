"""An append-only file of records: one a line, each with a checksum, on the disk before anyone hears of it.

A line is ``<crc32, 8 hex digits> <JSON object>\\n``. A power cut can tear the last line: it was then never
synced, so nobody has seen it, and it is cut. Anything else that does not check means that the disk or a
person changed what may already have been published; then the file is refused, because going on could sign the
same number twice.

No more than one line is in memory at a time: a week of readings is tens of megabytes.
"""

import json
import os
import zlib
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

from hireling.durable import PRIVATE_FILE, make_private_folder, replace_atomically, sync_folder

Record = dict[str, Any]
Take = Callable[[int, Record], None]
READ_BYTES = 4096  # a reading's line has about a thousand


class LogDamaged(Exception):
    """A record in the middle of the log does not check; the message names the file and the line."""


class NotKept(Exception):
    """The disk did not take a record: it is full, or broken. The file is what it was before.

    Trying again later may work.
    """


class RecordFile:
    """One file of records, open for appending."""

    def __init__(self, path: Path, take: Take) -> None:
        """Open the file, made now if there is none, and give ``take`` each record and its place, in order.

        Raises LogDamaged.
        """
        make_private_folder(path.parent)
        is_new = not path.exists()
        self._path = path
        self._descriptor = os.open(path, os.O_RDWR | os.O_APPEND | os.O_CREAT, PRIVATE_FILE)
        if is_new:
            sync_folder(path.parent)
        self.cut: str | None = None
        """What was cut off at opening, in words; None when the file was whole."""
        try:
            self._size = self._read(take)
        except BaseException:
            os.close(self._descriptor)
            raise

    @property
    def path(self) -> Path:
        """Return where the file is."""
        return self._path

    @property
    def is_empty(self) -> bool:
        """Return whether it holds no record."""
        return self._size == 0

    def append(self, record: Record) -> int:
        """Write one record, wait until the disk holds it, and return its place. Raises NotKept."""
        return self._append(record, sync=os.fdatasync)

    def append_unsynced(self, record: Record) -> int:
        """Write one record that may be lost in a power cut: only for what the network will say again.

        Raises NotKept.
        """
        return self._append(record, sync=lambda _: None)

    def line_at(self, place: int) -> bytes:
        """Return the line at a place that appending or reading gave, with its newline. Raises LogDamaged."""
        line = b""
        while not line.endswith(b"\n"):
            more = os.pread(self._descriptor, READ_BYTES, place + len(line))
            if not more:
                raise LogDamaged(f"{self._path} ends within the line at byte {place}")
            line += more[: more.find(b"\n") + 1 or len(more)]
        return line

    def record_at(self, place: int) -> Record:
        """Return the record at a place. Raises LogDamaged where the disk no longer gives what it took."""
        record = decode(self.line_at(place)[:-1])
        if record is None:
            raise LogDamaged(f"{self._path}: the record at byte {place} is damaged")
        return record

    def rewrite(self, lines: Iterable[bytes]) -> None:
        """Replace the file's content in one step.

        Raises OSError, and then nothing has changed; LogDamaged where nobody knows which of the two contents
        a power cut would leave: nothing may be appended to either.
        """
        replaced, self._descriptor = self._descriptor, replace_atomically(self._path, lines)
        os.close(replaced)
        self._size = os.fstat(self._descriptor).st_size
        try:
            sync_folder(self._path.parent)
        except OSError as error:
            raise LogDamaged(f"{self._path} was replaced, and its folder not synced: {error}") from error

    def close(self) -> None:
        """Free the file; safe to call twice."""
        if self._descriptor >= 0:
            os.close(self._descriptor)
            self._descriptor = -1

    def _append(self, record: Record, *, sync: Callable[[int], None]) -> int:
        line, place = encode(record), self._size
        try:
            self._drop_beyond(place)
            written = os.write(self._descriptor, line)
            sync(self._descriptor)
        except OSError as error:
            self._try_to_drop_beyond(place)
            raise NotKept(f"{self._path}: the disk takes nothing more: {error}") from error
        if written != len(line):
            self._try_to_drop_beyond(place)
            raise NotKept(
                f"{self._path}: the disk took {written} of {len(line)} bytes and takes nothing more"
            )
        self._size = place + len(line)
        return place

    def _drop_beyond(self, size: int) -> None:
        # A record that was not wholly taken must not stand before the next one.
        if os.fstat(self._descriptor).st_size != size:
            os.ftruncate(self._descriptor, size)

    def _try_to_drop_beyond(self, size: int) -> None:
        try:
            self._drop_beyond(size)
        except OSError:
            return  # The next record is appended only after this has worked, and a restart cuts it.

    def _read(self, take: Take) -> int:
        """Give every record to ``take``, cut what is torn, and return the file's size."""
        whole, place = self._path.stat().st_size, 0
        with self._path.open("rb") as file:
            for number, line in enumerate(file, start=1):
                record = decode(line[:-1]) if line.endswith(b"\n") else None
                if record is None:
                    self._cut_torn(line, number=number, place=place, whole=whole)
                    return place
                take(place, record)
                place += len(line)
        return place

    def _cut_torn(self, line: bytes, *, number: int, place: int, whole: int) -> None:
        # With zeros in it the file had grown, and the disk had not written all of the new part yet.
        is_torn = not line.endswith(b"\n") or (b"\0" in line and place + len(line) == whole)
        if not is_torn:
            raise LogDamaged(
                f"{self._path} line {number} is damaged: its checksum does not match. It may be"
                " published already, so it is neither cut nor signed again; put a whole copy there,"
                " or let the rental end by its deadlines"
            )
        self.cut = (
            f"{self._path}: cut {whole - place} bytes of a record torn after line {number - 1};"
            " it was never published"
        )
        os.ftruncate(self._descriptor, place)
        os.fsync(self._descriptor)


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
