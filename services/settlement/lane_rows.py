"""What the lane keeps: intents, and the transactions that were signed for them."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import TypeVar

from hireling.rental.anchoring import Announcement
from services.chassis.database import Database
from services.settlement.escrow.node import Receipt
from services.settlement.models import AttemptRow, TransactionRow
from services.settlement.moves import ANNOUNCE, root_announced
from services.settlement.store import Store

Found = TypeVar("Found")


@dataclass(frozen=True)
class Signed:
    """An intent that has a nonce, and its transactions, oldest first: at most one of them is ever mined."""

    row: TransactionRow
    attempts: Sequence[AttemptRow]

    @property
    def newest(self) -> AttemptRow:
        """Return the transaction that pays most."""
        return self.attempts[-1]


@dataclass(frozen=True)
class Mined:
    """An intent that the chain has: by which transaction, and with what it now counts as."""

    row: TransactionRow
    hash: str
    receipt: Receipt
    status: str
    reason: str | None

    @property
    def is_news(self) -> bool:
        """Return whether the row says something else."""
        return (self.row.status, self.row.hash, self.row.block) != (
            self.status,
            self.hash,
            self.receipt.block,
        )


class LaneRows:
    """One lane's rows; every write is a unit of work of its own."""

    def __init__(self, database: Database, now: Callable[[], datetime]) -> None:
        self._database = database
        self._now = now

    def unsettled(self, *, mined_nonce: int) -> list[Signed]:
        """Return the intents to look after, in order of nonce."""
        return self._read(lambda store: _with_attempts(store, store.unsettled(mined_nonce=mined_nonce)))

    def queued(self, *, limit: int) -> Sequence[TransactionRow]:
        """Return the oldest intents that were not signed yet."""
        return self._read(lambda store: store.queued(limit=limit))

    def rentals_in(self, row: TransactionRow) -> list[str | None]:
        """Return the rentals in a batch of claims."""
        return self._read(lambda store: list(store.rentals_in_batch(id_of(row))))

    def sign_off(
        self,
        rows: Sequence[TransactionRow],
        sign: Callable[[TransactionRow, int], AttemptRow],
        *,
        mined_nonce: int,
    ) -> list[Signed]:
        """Return what ``sign(row, nonce)`` makes of those that are still queued, once all of it is on disk.

        Nonces follow each other without a gap: what comes after one would wait for it for ever.
        """

        def write(store: Store) -> list[Signed]:
            nonce, signed = max(mined_nonce, store.highest_nonce() + 1), []
            for each in rows:
                row = store.transaction(id_of(each))
                if row.status != "queued":
                    continue
                attempt = sign(row, nonce)
                row.status, row.nonce, row.hash = "sent", nonce, attempt.hash
                row.sent_at, row.reason = attempt.signed_at, None
                store.add(attempt)
                signed.append(Signed(row, [attempt]))
                nonce += 1
            return signed

        return self._write(write)

    def note_mined(self, found: Sequence[Mined], anchor: Announcement) -> None:
        """Keep what the chain says, all at once."""

        def write(store: Store) -> None:
            for each in found:
                row = store.transaction(id_of(each.row))
                row.status, row.hash, row.block = each.status, each.hash, each.receipt.block
                row.gas_used, row.reason = each.receipt.gas_used, each.reason
                if (row.kind, each.status) == (ANNOUNCE, "confirmed"):
                    store.say(root_announced(row, anchor, seen_at=store.now))

        self._write(write)

    def note(self, row: TransactionRow, *, status: str, reason: str | None) -> None:
        """Keep what became of an intent, where that is news."""
        if (row.status, row.reason) == (status, reason):
            return

        def write(store: Store) -> None:
            kept = store.transaction(id_of(row))
            kept.status, kept.reason = status, reason

        self._write(write)

    def note_forgotten(self, row: TransactionRow) -> None:
        """Keep that the chain no longer has the block that an intent was mined in."""

        def write(store: Store) -> None:
            kept = store.transaction(id_of(row))
            kept.status, kept.block, kept.gas_used = "sent", None, None
            kept.reason = f"the chain forgot block {row.block}"

        self._write(write)

    def begin_anew(self, row: TransactionRow) -> None:
        """Queue an intent again and forget its transactions, of which none can ever be mined."""

        def write(store: Store) -> None:
            kept = store.transaction(id_of(row))
            kept.status, kept.nonce, kept.hash, kept.sent_at, kept.block = "queued", None, None, None, None
            kept.reason = f"nonce {row.nonce} went to another transaction"
            kept.gas_used = None
            store.forget_attempts(id_of(row))

        self._write(write)

    def add(self, attempt: AttemptRow) -> None:
        """Keep one more transaction of an intent."""
        self._write(lambda store: store.add(attempt))

    def _read(self, query: Callable[[Store], Found]) -> Found:
        with self._database.snapshot() as session:
            return query(Store(session, now=self._now()))

    def _write(self, change: Callable[[Store], Found]) -> Found:
        return self._database.work(lambda session: change(Store(session, now=self._now())))


def id_of(row: TransactionRow) -> int:
    """Return the number of an intent that came from the database."""
    assert row.id is not None  # noqa: S101 - it came from the database
    return row.id


def _with_attempts(store: Store, rows: Sequence[TransactionRow]) -> list[Signed]:
    attempts = store.attempts([id_of(row) for row in rows])
    return [Signed(row, attempts.get(id_of(row), [])) for row in rows]
