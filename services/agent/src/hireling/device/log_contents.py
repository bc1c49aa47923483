"""What a rental's log holds, and how it is read back: of the readings, only where they are."""

from array import array
from collections.abc import MutableSequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

from hireling.device.record_file import LogDamaged, Record, RecordFile
from hireling.rental.agreement import SignedAgreement
from hireling.rental.ceiling import SignedCeiling
from hireling.rental.reading import SignedReading


class LogEmpty(LogDamaged):
    """Not even the terms were written wholly: the device never served under this log."""


@dataclass(frozen=True)
class LoggedReading:
    """A reading as it was published: its number, the bytes, and what they say."""

    seq: int
    wire: str
    position: int

    @cached_property
    def signed(self) -> SignedReading:
        """Return what the bytes say."""
        return SignedReading.model_validate_json(self.wire)


@dataclass(frozen=True)
class Start:
    """How a rental began: its terms, and the chain's word that the money is there."""

    agreement: SignedAgreement
    funded_bps: int
    refused: str | None = None
    """Why the device never serves it: kept with the terms, so that no crash comes between the two."""

    @property
    def record(self) -> Record:
        """Return the record that a log begins with."""
        record: Record = {
            "kind": "start",
            "agreement": self.agreement.model_dump_json(),
            "funded_bps": self.funded_bps,
        }
        return record if self.refused is None else record | {"refused": self.refused}


@dataclass
class Contents:
    """A log's contents: the last reading, and at which places of the file it and those before it are."""

    start: Start
    first: int = 0
    """The number of the first reading that is kept; numbers are gapless."""
    places: MutableSequence[int] = field(default_factory=lambda: array("Q"))
    last: LoggedReading | None = None
    ceiling: SignedCeiling | None = None
    acked: int = -1
    end_reason: str | None = None
    finished: bool = False

    def __post_init__(self) -> None:
        self.end_reason = self.end_reason or self.start.refused


def open_contents(path: Path) -> tuple[RecordFile, Contents]:
    """Open a log and return what it holds.

    Raises LogDamaged when it cannot be trusted, LogEmpty when a crash left nothing of it.
    """
    reader = _Reader(path)
    file = RecordFile(path, reader.take)
    try:
        return file, reader.contents()
    except BaseException:
        file.close()
        raise


class _Reader:
    """Takes a file's records in, one after the other."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._contents: Contents | None = None
        self._first: Record | None = None
        self._last: Record | None = None
        self._ceiling: str | None = None

    def take(self, place: int, record: Record) -> None:
        """Take a record in. Raises LogDamaged."""
        if self._contents is None:
            self._contents = Contents(self._start(record))
            return
        match record["kind"]:
            case "reading":
                self._contents.places.append(place)
                self._first, self._last = self._first or record, record
            case "ceiling":
                self._ceiling = record["ceiling"]
            case "ack":
                self._contents.acked = record["seq"]
            case "end":
                self._contents.end_reason = record["reason"]
            case "finished":
                self._contents.finished = True
            case unknown:
                raise LogDamaged(
                    f"{self._path}: a record of an unknown kind, {unknown!r}; a newer version wrote it"
                )

    def contents(self) -> Contents:
        """Return what all of them say. Raises LogDamaged."""
        contents = self._contents
        if contents is None:
            raise LogEmpty(f"{self._path} does not start with a rental's terms: it is empty")
        if self._ceiling is not None:
            contents.ceiling = SignedCeiling.model_validate_json(self._ceiling)
        if self._first is not None and self._last is not None:
            contents.first, contents.last = _number(self._first), self._logged(self._last)
            if contents.last.seq != contents.first + len(contents.places) - 1:
                raise LogDamaged(
                    f"{self._path} has {len(contents.places)} readings"
                    f" from number {contents.first} to {contents.last.seq}"
                )
        return contents

    def _start(self, record: Record) -> Start:
        if record["kind"] != "start":
            raise LogDamaged(f"{self._path} does not start with a rental's terms")
        agreement = SignedAgreement.model_validate_json(record["agreement"])
        return Start(agreement=agreement, funded_bps=record["funded_bps"], refused=record.get("refused"))

    def _logged(self, record: Record) -> LoggedReading:
        return LoggedReading(seq=_number(record), wire=record["wire"], position=record["position"])


def _number(record: Record) -> int:
    return SignedReading.model_validate_json(record["wire"]).reading.seq
