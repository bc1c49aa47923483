"""What a device must never forget of a rental.

Its terms, every signed reading, the ceilings it served under, how far others hold it.

One file per rental. A reading is signed, appended with its signature, synced, and only then published; after
a crash the device goes on from the last record and resends the very bytes it had signed.
"""

import json
from array import array
from bisect import bisect_right
from collections.abc import Iterator, MutableSequence, Sequence
from contextlib import suppress
from pathlib import Path

from hireling.device.log_contents import Contents, LoggedReading, Start, open_contents
from hireling.device.record_file import LogDamaged, NotKept, RecordFile, encode
from hireling.drivers.driver import Progress
from hireling.rental.ceiling import SignedCeiling
from hireling.rental.reading import ReadingChain, SignedReading
from hireling.rental.tariff import Tariff

# From this many readings on that others hold durably, and half of the file, it is worth writing it anew
# without them: over a whole rental the disk then takes each reading about twice.
TRIM_ABOVE = 2000
# So many of the newest stay although others hold them: two hours of one a second, some 5 MB. A platform that
# was restored from a backup lacks what came after it (docs/backup.md).
KEPT = 7200


class RentalLog:
    """The log of one rental. In memory are the last reading and where in the file the others are."""

    def __init__(self, file: RecordFile, contents: Contents) -> None:
        self._file = file
        self.start = contents.start
        self.rental_id = contents.start.agreement.rental_id
        self._first, self._places = contents.first, contents.places
        self._trim_from = TRIM_ABOVE
        self.last = contents.last
        """The last signed reading."""
        self.ceiling = contents.ceiling
        self.acked = contents.acked
        """The highest number that the platform holds durably, without a gap below it."""
        self.end_reason = contents.end_reason
        self.finished = contents.finished
        """Whether the bill is verified and countersigned: nothing is left to do."""

    @classmethod
    def create(cls, path: Path, start: Start) -> "RentalLog":
        """Begin a rental's log. Raises LogDamaged when the rental has one already, NotKept."""
        try:
            file = RecordFile(path, lambda *_: None)
        except OSError as error:
            raise NotKept(f"{path}: the disk takes nothing more: {error}") from error
        if not file.is_empty:
            file.close()
            raise LogDamaged(f"{path} already holds a rental")
        try:
            file.append(start.record)
        except BaseException:
            file.close()
            raise
        return cls(file, Contents(start))

    @classmethod
    def open(cls, path: Path) -> "RentalLog":
        """Read a rental's log back.

        Raises LogDamaged when it cannot be trusted, LogEmpty when a crash left nothing of it.
        """
        return cls(*open_contents(path))

    @property
    def path(self) -> Path:
        """Return where the log lies."""
        return self._file.path

    @property
    def tariff(self) -> Tariff:
        """Return what the readings are priced with."""
        return self.start.agreement.offer.tariff

    @property
    def cut(self) -> str | None:
        """Return what opening the log cut off, in words, or None."""
        return self._file.cut

    @property
    def is_over(self) -> bool:
        """Return whether the device signs nothing more for this rental."""
        return self.end_reason is not None or (self.last is not None and self.last.signed.reading.last)

    @property
    def chain(self) -> ReadingChain:
        """Return where the chain of readings stands, so that the next one can be built."""
        agreement = self.start.agreement
        return ReadingChain.resumed(
            rental_id=self.rental_id,
            meter=agreement.agreement.pay.meter,
            domain=agreement.domain,
            last=self.last.signed.reading if self.last else None,
        )

    @property
    def progress(self) -> Progress:
        """Return what the driver goes on from."""
        if self.last is None:
            return Progress(counters=(0,) * len(self.tariff.counters))
        return Progress(counters=tuple(self.last.signed.reading.sample.counters), position=self.last.position)

    def unacknowledged(self, after: int) -> Iterator[LoggedReading]:
        """Return the readings above number ``after`` that the platform does not hold yet, ascending.

        Each is read from the disk when its turn comes.
        """
        begin = max(after, self.acked, self._first - 1) + 1
        return (self._reading(seq) for seq in range(begin, self._first + len(self._places)))

    def append_reading(self, signed: SignedReading, *, position: int) -> LoggedReading:
        """Keep a signed reading; once this returns it may be published.

        Raises LogDamaged on a number that does not follow, NotKept.
        """
        expected = self.last.seq + 1 if self.last else 0
        if signed.reading.seq != expected:
            raise LogDamaged(f"{self._file.path}: reading {signed.reading.seq} where {expected} follows")
        wire = signed.model_dump_json()
        place = self._file.append({"kind": "reading", "wire": wire, "position": position})
        self._places.append(place)
        self.last = LoggedReading(seq=expected, wire=wire, position=position)
        return self.last

    def append_ceiling(self, ceiling: SignedCeiling) -> None:
        """Keep a ceiling; once this returns the device may serve under it. Raises NotKept."""
        self._file.append({"kind": "ceiling", "ceiling": ceiling.model_dump_json()})
        self.ceiling = ceiling

    def note_ack(self, seq: int) -> None:
        """Note that the platform durably holds everything up to ``seq``.

        A lower number than before says nothing new.
        """
        if self.last is None or not self.acked < seq <= self.last.seq:
            return
        with suppress(NotKept):  # The platform will say it again.
            self._file.append_unsynced({"kind": "ack", "seq": seq})
        self.acked = seq
        if self.acked - self._first > self._trim_from:
            self._trim()

    def go_back(self, seq: int) -> None:
        """Note that the platform holds only what comes up to ``seq`` (-1: nothing): it lost the rest.

        What this log no longer holds either is never sent again.
        """
        self.acked = max(seq, self._first - 1)
        with suppress(NotKept):  # After a restart the platform says it again.
            self._file.append_unsynced({"kind": "ack", "seq": self.acked})

    def note_end(self, reason: str) -> None:
        """Note why the device serves this rental no more."""
        self.end_reason = reason
        with suppress(NotKept):  # A restart waits for the unlock anew, and comes to the same end.
            self._file.append({"kind": "end", "reason": reason})

    def note_finished(self) -> None:
        """Note that nothing is left to do."""
        self.finished = True
        with suppress(NotKept):  # The file is moved away next, which needs no space.
            self._file.append({"kind": "finished"})

    def close(self) -> None:
        """Free the file."""
        self._file.close()

    def _reading(self, seq: int) -> LoggedReading:
        record = self._file.record_at(self._places[seq - self._first])
        return LoggedReading(seq=seq, wire=record["wire"], position=record["position"])

    def _trim(self) -> None:
        if self.acked + 1 - KEPT - self._first <= TRIM_ABOVE:
            return
        # What the renter has not acknowledged is kept even when the platform holds it: a dispute
        # asks the device for it.
        surplus = min(self._acknowledged_below(self.acked), self.acked + 1 - KEPT) - self._first
        if surplus <= max(TRIM_ABOVE, len(self._places) // 2):
            return
        kept = self._places[surplus:]
        places = array("Q")
        try:
            self._file.rewrite(self._lines(kept, places))
        except OSError:
            self._trim_from += TRIM_ABOVE  # No space for a second copy: the whole log stays a while longer.
            return
        self._first, self._places, self._trim_from = self._first + surplus, places, TRIM_ABOVE

    def _acknowledged_below(self, seq: int) -> int:
        """Return the lowest number, at most ``seq``, whose amount the renter has not acknowledged."""
        acknowledged = self.ceiling.ceiling.ack_amount if self.ceiling else 0
        numbers = range(self._first, seq)
        return self._first + bisect_right(numbers, acknowledged, key=self._amount_of)

    def _amount_of(self, seq: int) -> int:
        return int(json.loads(self._reading(seq).wire)["reading"]["amount_due"])

    def _lines(self, kept: Sequence[int], places: MutableSequence[int]) -> Iterator[bytes]:
        """Return the file's lines with only these readings, and note in ``places`` where these will be."""
        line = encode(self.start.record)
        yield line
        place = len(line)
        for old in kept:
            line = self._file.line_at(old)
            places.append(place)
            place += len(line)
            yield line
        if self.ceiling is not None:
            yield encode({"kind": "ceiling", "ceiling": self.ceiling.model_dump_json()})
        yield encode({"kind": "ack", "seq": self.acked})
        if self.end_reason is not None:
            yield encode({"kind": "end", "reason": self.end_reason})


def log_path(folder: Path, rental_id: bytes) -> Path:
    """Return where the rental's log lies."""
    return folder / f"{rental_id.hex()}.log"
