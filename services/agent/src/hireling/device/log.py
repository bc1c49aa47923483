"""What a device must never forget of a rental.

Its terms, every signed reading, the ceilings it served under, how far others hold it.

One file per rental. A reading is signed, appended with its signature, synced, and only then published; after
a crash the device goes on from the last record and resends the very bytes it had signed.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from hireling.device.record_file import LogDamaged, Record, RecordFile
from hireling.drivers.driver import Progress
from hireling.rental.agreement import SignedAgreement
from hireling.rental.ceiling import SignedCeiling
from hireling.rental.reading import ReadingChain, SignedReading
from hireling.rental.tariff import Tariff

# Above this many readings that others hold durably, the file is worth rewriting without them.
TRIM_ABOVE = 2000


@dataclass(frozen=True)
class LoggedReading:
    """A reading as it was published: the bytes, and what they say."""

    wire: str
    signed: SignedReading
    position: int

    @property
    def seq(self) -> int:
        """Return the reading's number."""
        return self.signed.reading.seq


@dataclass(frozen=True)
class Start:
    """How a rental began: its terms, and the chain's word that the money is there."""

    agreement: SignedAgreement
    funded_bps: int


class RentalLog:
    """The log of one rental."""

    def __init__(self, file: RecordFile, start: Start) -> None:
        self._file = file
        self.start = start
        self.rental_id = start.agreement.rental_id
        self._readings: list[LoggedReading] = []
        self.ceiling: SignedCeiling | None = None
        self.acked = -1
        """The highest number that the platform holds durably, without a gap below it."""
        self.end_reason: str | None = None
        self.finished = False
        """Whether the bill is verified and countersigned: nothing is left to do."""

    @classmethod
    def create(cls, path: Path, start: Start) -> "RentalLog":
        """Begin a rental's log. Raises LogDamaged when the rental has one already."""
        file = RecordFile(path)
        if file.records:
            file.close()
            raise LogDamaged(f"{path} already holds a rental")
        file.append(
            {
                "kind": "start",
                "agreement": start.agreement.model_dump_json(),
                "funded_bps": start.funded_bps,
            }
        )
        return cls(file, start)

    @classmethod
    def open(cls, path: Path) -> "RentalLog":
        """Read a rental's log back. Raises LogDamaged when it cannot be trusted."""
        file = RecordFile(path)
        try:
            return cls._replay(file)
        except BaseException:
            file.close()
            raise

    @classmethod
    def _replay(cls, file: RecordFile) -> "RentalLog":
        if not file.records or file.records[0]["kind"] != "start":
            raise LogDamaged(f"{file.path} does not start with a rental's terms")
        first = file.records[0]
        agreement = SignedAgreement.model_validate_json(first["agreement"])
        log = cls(file, Start(agreement=agreement, funded_bps=first["funded_bps"]))
        for record in file.records[1:]:
            log._apply(record)
        file.records.clear()
        return log

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
    def last(self) -> LoggedReading | None:
        """Return the last signed reading."""
        return self._readings[-1] if self._readings else None

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
        """Return the readings above number ``after`` that the platform does not hold yet, ascending."""
        if not self._readings:
            return iter(())
        first = self._readings[0].seq  # numbers are gapless, so a number is an index
        return iter(
            self._readings[max(after, self.acked) + 1 - first :]
            if max(after, self.acked) >= first
            else self._readings
        )

    def append_reading(self, signed: SignedReading, *, position: int) -> LoggedReading:
        """Keep a signed reading; once this returns it may be published.

        Raises LogDamaged on a number that does not follow.
        """
        expected = self.last.seq + 1 if self.last else 0
        if signed.reading.seq != expected:
            raise LogDamaged(f"{self._file.path}: reading {signed.reading.seq} where {expected} follows")
        wire = signed.model_dump_json()
        self._file.append({"kind": "reading", "wire": wire, "position": position})
        logged = LoggedReading(wire=wire, signed=signed, position=position)
        self._readings.append(logged)
        return logged

    def append_ceiling(self, ceiling: SignedCeiling) -> None:
        """Keep a ceiling; once this returns the device may serve under it."""
        self._file.append({"kind": "ceiling", "ceiling": ceiling.model_dump_json()})
        self.ceiling = ceiling

    def note_ack(self, seq: int) -> None:
        """Note that the platform durably holds everything up to ``seq``.

        A lower number than before says nothing new.
        """
        if self.last is None or not self.acked < seq <= self.last.seq:
            return
        self._file.append_unsynced({"kind": "ack", "seq": seq})
        self.acked = seq
        self._trim()

    def note_end(self, reason: str) -> None:
        """Note why the device serves this rental no more."""
        self._file.append({"kind": "end", "reason": reason})
        self.end_reason = reason

    def note_finished(self) -> None:
        """Note that nothing is left to do."""
        self._file.append({"kind": "finished"})
        self.finished = True

    def close(self) -> None:
        """Free the file."""
        self._file.close()

    def _apply(self, record: Record) -> None:
        match record["kind"]:
            case "reading":
                signed = SignedReading.model_validate_json(record["wire"])
                self._readings.append(
                    LoggedReading(wire=record["wire"], signed=signed, position=record["position"])
                )
            case "ceiling":
                self.ceiling = SignedCeiling.model_validate_json(record["ceiling"])
            case "ack":
                self.acked = record["seq"]
            case "end":
                self.end_reason = record["reason"]
            case "finished":
                self.finished = True
            case unknown:
                raise LogDamaged(
                    f"{self._file.path}: a record of an unknown kind, {unknown!r}; a newer version wrote it"
                )

    def _trim(self) -> None:
        # What the renter has not acknowledged is kept even when the platform holds it: a dispute
        # asks the device for it.
        floor = self._trimmable_below()
        if sum(1 for logged in self._readings if logged.seq < floor) <= TRIM_ABOVE:
            return
        self._readings = [logged for logged in self._readings if logged.seq >= floor]
        self._file.rewrite(self._records())

    def _trimmable_below(self) -> int:
        acknowledged = self.ceiling.ceiling.ack_amount if self.ceiling else 0
        for logged in self._readings:
            if logged.seq >= self.acked or logged.signed.reading.amount_due > acknowledged:
                return logged.seq
        return 0

    def _records(self) -> Iterator[Record]:
        yield {
            "kind": "start",
            "agreement": self.start.agreement.model_dump_json(),
            "funded_bps": self.start.funded_bps,
        }
        for logged in self._readings:
            yield {"kind": "reading", "wire": logged.wire, "position": logged.position}
        if self.ceiling is not None:
            yield {"kind": "ceiling", "ceiling": self.ceiling.model_dump_json()}
        yield {"kind": "ack", "seq": self.acked}
        if self.end_reason is not None:
            yield {"kind": "end", "reason": self.end_reason}


def log_path(folder: Path, rental_id: bytes) -> Path:
    """Return where the rental's log lies."""
    return folder / f"{rental_id.hex()}.log"
