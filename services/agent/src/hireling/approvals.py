"""A person's yes or no to one rental, asked for by an agent and given by whoever holds the home.

In the same file as the mandates. Nobody's answer in time is a no: an agent never signs above its threshold
because somebody slept.
"""

import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Literal

from hireling.durable import make_private_folder

Answer = Literal["waiting", "approved", "refused", "too late"]
PATIENCE_SECONDS = 60.0
TABLE = """CREATE TABLE IF NOT EXISTS approval (
    rental_id TEXT PRIMARY KEY, session TEXT NOT NULL, side TEXT NOT NULL, all_in TEXT NOT NULL,
    words TEXT NOT NULL, answer_by REAL NOT NULL, approved INTEGER)"""


@dataclass(frozen=True, kw_only=True)
class Wanted:
    """A rental that needs a person's word by ``answer_by``; ``all_in`` in base units."""

    rental_id: bytes
    session: str
    side: str
    all_in: int
    words: str
    answer_by: datetime


class Approvals:
    """What was asked and answered."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def ask(self, wanted: Wanted) -> bool:
        """Ask for a person's word; return whether nobody had asked for this rental before."""
        row = (
            wanted.rental_id.hex(),
            wanted.session,
            wanted.side,
            str(wanted.all_in),
            wanted.words,
            wanted.answer_by.timestamp(),
        )
        with self._transaction() as rows:
            made = rows.execute("INSERT OR IGNORE INTO approval VALUES (?, ?, ?, ?, ?, ?, NULL)", row)
            return made.rowcount == 1

    def answer(self, session: str, *, approved: bool, now: datetime) -> Sequence[Wanted]:
        """Answer what waits of the one session or rental whose id begins so; return what was answered.

        Raises ValueError where that begins several, and then nothing is answered.
        """
        with self._transaction() as rows:
            answered = [
                each
                for each in _waiting(rows, now)
                if each.session.startswith(session) or each.rental_id.hex().startswith(session)
            ]
            if len({each.session for each in answered}) > 1:
                raise ValueError(f"several sessions begin with {session!r}: name one of them")
            for each in answered:
                rows.execute(
                    "UPDATE approval SET approved = ? WHERE rental_id = ?", (approved, each.rental_id.hex())
                )
        return answered

    def state(self, rental_id: bytes, now: datetime) -> Answer:
        """Return where a question stands; one that nobody asked waits."""
        with self._transaction() as rows:
            row = rows.execute(
                "SELECT approved, answer_by FROM approval WHERE rental_id = ?", (rental_id.hex(),)
            ).fetchone()
        if row is None:
            return "waiting"
        approved, answer_by = row
        if approved is not None:
            return "approved" if approved else "refused"
        return "too late" if now.timestamp() > answer_by else "waiting"

    def waiting(self, now: datetime) -> Sequence[Wanted]:
        """Return what a person can still answer."""
        with self._transaction() as rows:
            return _waiting(rows, now)

    @contextmanager
    def _transaction(self) -> Iterator[sqlite3.Connection]:
        make_private_folder(self._path.parent)
        with closing(sqlite3.connect(self._path, timeout=PATIENCE_SECONDS, isolation_level=None)) as rows:
            rows.execute("BEGIN IMMEDIATE")
            try:
                rows.execute(TABLE)
                yield rows
            except BaseException:
                if rows.in_transaction:  # a full disk has rolled back by itself
                    rows.execute("ROLLBACK")
                raise
            rows.execute("COMMIT")


def _waiting(rows: sqlite3.Connection, now: datetime) -> list[Wanted]:
    found = rows.execute(
        "SELECT rental_id, session, side, all_in, words, answer_by FROM approval"
        " WHERE approved IS NULL AND answer_by >= ? ORDER BY answer_by",
        (now.timestamp(),),
    )
    return [
        Wanted(
            rental_id=bytes.fromhex(rental_id),
            session=session,
            side=side,
            all_in=int(all_in),
            words=words,
            answer_by=datetime.fromtimestamp(answer_by, UTC),
        )
        for rental_id, session, side, all_in, words, answer_by in found
    ]
