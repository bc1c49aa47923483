"""What a machine's pricing agent saw and decided, on the disk.

A file of records (see ``record_file``): time, sessions and decisions as they come. Once it is long they are
folded into a row for each hour and price, and old ones are left out, so that it stays small.
"""

from collections import deque
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal

from hireling.device.record_file import LogDamaged, Record, RecordFile, decode, encode
from hireling.pricing.deciding import Parts
from hireling.pricing.deciding import Record as Reasons
from hireling.pricing.history import KEPT_FOR, MOST_ROWS, MOST_SESSIONS, History, Hour, kept

Mode = Literal["off", "shadow", "on"]
KEPT_DECISIONS = 200
FOLDED_AFTER = 2000
REMEMBERED_SESSIONS = 500
FILE = "pricing.log"


@dataclass(frozen=True)
class Decided:
    """A decision as it was kept."""

    at: datetime
    mode: Mode
    reasons: Reasons

    @property
    def moves(self) -> bool:
        """Return whether the price was to change."""
        return self.reasons.to != self.reasons.price


@dataclass
class Row:
    """What came together for one hour, listed price and the price that it is compared with."""

    idle: int = 0
    busy: int = 0
    questions: int = 0
    earned: int = 0
    agreed: list[int] = field(default_factory=list)
    lost: list[int] = field(default_factory=list)


# Unix second of the hour's beginning, the listed price, and the other price.
Key = tuple[int, int, int]


@dataclass
class Open:
    """A session that has not ended: where it counts, when somebody last spoke, the renter's last offer."""

    key: Key
    spoke_at: int
    offered: int = 0


@dataclass
class Seen:
    """All that a journal says."""

    bounds: dict[str, Any] = field(default_factory=dict)
    rows: dict[Key, Row] = field(default_factory=dict)
    open: dict[str, Open] = field(default_factory=dict)
    ended: deque[str] = field(default_factory=lambda: deque(maxlen=REMEMBERED_SESSIONS))
    decisions: deque[Decided] = field(default_factory=lambda: deque(maxlen=KEPT_DECISIONS))
    price: int | None = None
    moved_at: datetime | None = None

    def take(self, record: Record) -> None:
        """Take one record in. Raises LookupError, TypeError or ValueError for one that means nothing."""
        act = getattr(self, f"_take_{record['kind']}", None)
        if act is None:
            raise ValueError(f"no record is called {record['kind']}")
        act(record)

    def history(self, now: datetime) -> History:
        """Return the hours worth keeping."""
        return kept((hour for hour, _, _ in self.hours()), now)

    def hours(self) -> Iterator[tuple[Hour, int, int]]:
        """Return each hour, the price that it is compared with, and what bills of it came to."""
        for (at, price, other), row in sorted(self.rows.items()):
            hour = Hour(
                at=datetime.fromtimestamp(at, UTC),
                price=price,
                idle_seconds=row.idle,
                busy_seconds=row.busy,
                questions=row.questions,
                agreed=tuple(row.agreed),
                lost=tuple(row.lost),
            )
            yield hour, other, row.earned

    def records(self, now: datetime) -> Iterator[Record]:
        """Return the few records that say the same, without what is too old to count."""
        if self.bounds:
            yield self.bounds
        oldest = (now - KEPT_FOR).timestamp()
        for key, row in sorted(self.rows.items())[-MOST_ROWS:]:
            if key[0] >= oldest:
                yield {"kind": "row", "key": list(key), **vars(row)}
        for session, one in self.open.items():
            yield {
                "kind": "asked",
                "session": session,
                "key": list(one.key),
                "at": one.spoke_at,
                "again": True,
            }
            yield {"kind": "bid", "session": session, "at": one.spoke_at, "offered": one.offered}
        for decided in self.decisions:
            yield decided_record(decided)
        if self.price is not None and self.moved_at is not None:
            yield {"kind": "listed", "price": self.price, "at": int(self.moved_at.timestamp())}

    def _take_bounds(self, record: Record) -> None:
        self.bounds = record

    def _take_row(self, record: Record) -> None:
        fields = {name: record[name] for name in vars(Row())}
        self.rows[_key(record)] = Row(**fields)

    def _take_time(self, record: Record) -> None:
        row = self._row(_key(record))
        row.idle += record["idle"]
        row.busy += record["busy"]

    def _take_earned(self, record: Record) -> None:
        self._row(_key(record)).earned += record["amount"]

    def _take_asked(self, record: Record) -> None:
        key = _key(record)
        self.open[record["session"]] = Open(key, record["at"])
        if not record.get("again"):
            self._row(key).questions += 1

    def _take_bid(self, record: Record) -> None:
        if (one := self.open.get(record["session"])) is not None:
            one.spoke_at, one.offered = record["at"], record["offered"]

    def _take_ended(self, record: Record) -> None:
        one = self.open.pop(record["session"], None)
        self.ended.append(record["session"])
        if one is None:
            return
        row = self._row(one.key)
        if len(row.agreed) + len(row.lost) < MOST_SESSIONS:
            (row.agreed if record["deal"] else row.lost).append(one.offered or (one.key[1] * record["deal"]))

    def _take_decided(self, record: Record) -> None:
        self.decisions.append(decided_of(record))

    def _take_listed(self, record: Record) -> None:
        self.price, self.moved_at = record["price"], datetime.fromtimestamp(record["at"], UTC)

    def _row(self, key: Key) -> Row:
        return self.rows.setdefault(key, Row())


class PriceJournal:
    """One machine's journal, open for writing."""

    def __init__(self, folder: Path, now: datetime) -> None:
        """Open it. What cannot be read is put aside, and ``lost`` says so: the journal begins anew."""
        path = folder / FILE
        self.lost: str | None = None
        self._lines = 0
        try:
            self.seen, self._file = self._open(path)
        except (LogDamaged, LookupError, TypeError, ValueError) as error:
            aside = path.with_name(f"{FILE}.damaged-{now:%Y%m%dT%H%M%S}")
            path.replace(aside)
            self.lost = f"what the pricing agent had learned cannot be read ({error}); it is in {aside}"
            self.seen, self._file = self._open(path)

    def keep(self, record: Record, now: datetime) -> None:
        """Take a record in, on the disk when this returns. Raises NotKept, and then nothing has changed."""
        self._file.append(record)
        self.seen.take(record)
        self._lines += 1
        if self._lines >= FOLDED_AFTER:
            self._fold(now)

    def close(self) -> None:
        """Free the file."""
        self._file.close()

    def _open(self, path: Path) -> tuple[Seen, RecordFile]:
        seen = Seen()

        def take(_place: int, record: Record) -> None:
            seen.take(record)
            self._lines += 1

        self._lines = 0
        return seen, RecordFile(path, take)

    def _fold(self, now: datetime) -> None:
        """Write the same in fewer records; where the disk does not take that, the long file stands.

        Which of the two a power cut would leave is all the same: they say the same.
        """
        records = list(self.seen.records(now))
        try:
            with suppress(LogDamaged):
                self._file.rewrite([encode(record) for record in records])
        except OSError:
            self._lines = FOLDED_AFTER // 2  # The next try comes later.
            return
        folded = Seen()
        for record in records:
            folded.take(record)
        folded.ended = self.seen.ended
        self.seen, self._lines = folded, 0


def read_journal(folder: Path) -> Seen | None:
    """Return what a machine's journal says, None where there is none; the file is not touched.

    Raises LogDamaged.
    """
    path = folder / FILE
    if not path.exists():
        return None
    seen = Seen()
    lines = path.read_bytes().split(b"\n")
    for number, line in enumerate(lines[:-1], start=1):
        record = decode(line)
        if record is None:
            raise LogDamaged(
                f"{path} line {number} is damaged; the machine puts the file aside when it starts"
            )
        seen.take(record)
    return seen


def decided_record(decided: Decided) -> Record:
    """Return a decision as it is kept."""
    reasons = decided.reasons
    plain = {name: value for name, value in vars(reasons).items() if name != "parts"}
    parts = None if reasons.parts is None else vars(reasons.parts)
    at = int(decided.at.timestamp())
    return {"kind": "decided", "at": at, "mode": decided.mode, **plain, "parts": parts}


def decided_of(record: Mapping[str, Any]) -> Decided:
    """Return a decision that was kept."""
    parts = None if record["parts"] is None else Parts(**record["parts"])
    named = {name: record[name] for name in ("inputs", "rule", "price", "to", "strategy", "version")}
    at = datetime.fromtimestamp(record["at"], UTC)
    return Decided(at=at, mode=record["mode"], reasons=Reasons(**named, parts=parts))


def _key(record: Record) -> Key:
    at, price, other = record["key"]
    return int(at), int(price), int(other)
