"""The queries about the chain: intents, their transactions, claims in batches, and what was read."""

from collections.abc import Callable, Iterable, Sequence
from datetime import datetime, timedelta
from typing import Any

import sqlalchemy
from sqlalchemy import BindParameter, CompoundSelect, bindparam, delete, func, or_, union_all, update
from sqlmodel import Session, col, select

from services.messages.settlement import Transaction
from services.settlement.models import (
    AttemptRow,
    BatchedClaimRow,
    LogRow,
    SeenBlock,
    TransactionRow,
)

# Signed and not final: the chain still has to say what became of them.
PENDING = ("sent", "unknown", "mined")
IN_FLIGHT = ("queued", *PENDING)
FINAL = ("confirmed", "refused")
SEEN_KEPT = 512


class ChainStore:
    """What one unit of work reads and writes of the chain; ``now`` stamps what it writes."""

    def __init__(self, session: Session, *, now: datetime) -> None:
        self._session = session
        self.now = now

    def add(self, row: object) -> None:
        """Keep a new row."""
        self._session.add(row)

    # -- transactions

    def queue(self, row: TransactionRow, *, again_after: timedelta | None = None) -> TransactionRow:
        """Return the intent with this row's key: the one there is, else ``row``, queued now.

        A refused intent changed nothing on the chain, so it may be tried again with what ``row`` says, where
        ``again_after`` has passed since; None never tries again.
        """
        found = self.transaction_by_key(row.key)
        if found is None:
            self.add(row)
            return row
        if (
            found.status == "refused"
            and again_after is not None
            and self.now >= found.created_at + again_after
        ):
            found.status, found.to, found.data, found.created_at = "queued", row.to, row.data, self.now
            found.nonce = found.hash = found.block = found.gas_used = found.sent_at = found.reason = None
            self.forget_attempts(int(found.id or 0))
        return found

    def queue_batch(
        self, row: TransactionRow, claims_of: Callable[[int], Iterable[BatchedClaimRow]]
    ) -> TransactionRow:
        """Queue a batch with its claims, which ``claims_of`` makes for its number; once for each key."""
        found = self.transaction_by_key(row.key)
        if found is not None:
            return found
        self.add(row)
        self._session.flush()
        for claim in claims_of(int(row.id or 0)):
            self.add(claim)
        return row

    def transaction(self, transaction_id: int) -> TransactionRow:
        """Return the intent with this number, which must exist."""
        return self._session.exec(select(TransactionRow).where(TransactionRow.id == transaction_id)).one()

    def transaction_by_key(self, key: str) -> TransactionRow | None:
        """Return the intent with this key."""
        return self._session.exec(select(TransactionRow).where(TransactionRow.key == key)).one_or_none()

    def count_transactions(self, key_prefix: str) -> int:
        """Return how many intents have keys that begin so."""
        statement = select(func.count()).where(
            col(TransactionRow.key).startswith(key_prefix, autoescape=True)
        )
        return self._session.exec(statement).one()

    def transactions_of(self, rental_ids: Sequence[str]) -> dict[str, list[Transaction]]:
        """Return each rental's intents and the batches it was claimed in, oldest first."""
        found: dict[str, list[Transaction]] = {each: [] for each in rental_ids}
        for of_rental, _, *told in self._session.execute(_TRANSACTIONS_OF, {"rental_ids": rental_ids}):
            found[of_rental].append(Transaction.model_validate(dict(zip(_TOLD, told, strict=True))))
        return found

    def moving_rentals(self, kinds: Iterable[str]) -> set[str]:
        """Return the rentals for which an intent of these kinds, or a batch of claims, is under way."""
        in_flight = col(TransactionRow.status).in_(IN_FLIGHT)
        alone = select(TransactionRow.rental_id).where(in_flight, col(TransactionRow.kind).in_(list(kinds)))
        batched = select(BatchedClaimRow.rental_id).where(
            BatchedClaimRow.transaction_id == TransactionRow.id, in_flight
        )
        found = {*self._session.exec(alone).all(), *self._session.exec(batched).all()}
        return {rental_id for rental_id in found if rental_id is not None}

    def queued(self, *, limit: int) -> Sequence[TransactionRow]:
        """Return the oldest intents that were not signed yet."""
        statement = select(TransactionRow).where(TransactionRow.status == "queued")
        return self._session.exec(statement.order_by(col(TransactionRow.id)).limit(limit)).all()

    def refused(self, kind: str) -> Sequence[TransactionRow]:
        """Return the intents of a kind that were refused, oldest first."""
        of_kind = (TransactionRow.kind == kind, TransactionRow.status == "refused")
        return self._session.exec(
            select(TransactionRow).where(*of_kind).order_by(col(TransactionRow.id))
        ).all()

    def unsettled(self, *, mined_nonce: int) -> Sequence[TransactionRow]:
        """Return the intents to look after, in order of nonce.

        They are those not final, and those that the chain forgot.
        """
        waiting = col(TransactionRow.status).in_(PENDING)
        statement = select(TransactionRow).where(or_(waiting, col(TransactionRow.nonce) >= mined_nonce))
        return self._session.exec(statement.order_by(col(TransactionRow.nonce))).all()

    def highest_nonce(self) -> int:
        """Return the highest nonce in use, -1 for none."""
        highest = self._session.exec(select(func.max(TransactionRow.nonce))).one()
        return -1 if highest is None else int(highest)

    def attempts(self, transaction_ids: Sequence[int]) -> dict[int, list[AttemptRow]]:
        """Return the signed transactions of these intents, each intent's oldest first."""
        if not transaction_ids:
            return {}
        statement = select(AttemptRow).where(col(AttemptRow.transaction_id).in_(transaction_ids))
        found: dict[int, list[AttemptRow]] = {}
        for attempt in self._session.exec(statement.order_by(col(AttemptRow.signed_at))):
            found.setdefault(attempt.transaction_id, []).append(attempt)
        return found

    def forget_attempts(self, transaction_id: int) -> None:
        """Delete signed transactions that can never be mined any more."""
        self._session.execute(delete(AttemptRow).where(col(AttemptRow.transaction_id) == transaction_id))

    # -- claims in batches

    def last_batched(self, key: str) -> tuple[BatchedClaimRow, TransactionRow] | None:
        """Return the newest batch that has the claim with this key, and the claim in it."""
        statement = (
            select(BatchedClaimRow, TransactionRow)
            .where(BatchedClaimRow.key == key, BatchedClaimRow.transaction_id == TransactionRow.id)
            .order_by(col(BatchedClaimRow.transaction_id).desc())
        )
        return self._session.exec(statement.limit(1)).first()

    def note_outcome(self, log: LogRow, *, at: datetime) -> None:
        """Keep what a batch's log says of a rental at ``at``, the chain's time.

        Anyone may send a batch: another's says nothing of our claim.
        """
        statement = select(BatchedClaimRow).where(
            BatchedClaimRow.rental_id == log.subject,
            BatchedClaimRow.transaction_id == AttemptRow.transaction_id,
            AttemptRow.hash == log.tx_hash,
        )
        for claim in self._session.exec(statement):
            claim.outcome, claim.block, claim.told_at = str(log.arguments["outcome"]), log.block, at

    def rentals_in_batch(self, transaction_id: int) -> Sequence[str]:
        """Return whose claims a batch has."""
        statement = select(BatchedClaimRow.rental_id).where(BatchedClaimRow.transaction_id == transaction_id)
        return self._session.exec(statement).all()

    # -- the chain, as far as it was read

    def seen(self) -> Sequence[SeenBlock]:
        """Return the blocks up to which everything was read, newest first."""
        return self._session.exec(select(SeenBlock).order_by(col(SeenBlock.number).desc())).all()

    def last_seen(self) -> SeenBlock | None:
        """Return the newest block up to which everything was read."""
        statement = select(SeenBlock).order_by(col(SeenBlock.number).desc()).limit(1)
        return self._session.exec(statement).one_or_none()

    def prune_seen(self, *, number: int) -> None:
        """Forget the hashes of blocks far behind this one."""
        self._session.execute(delete(SeenBlock).where(col(SeenBlock.number) < number - SEEN_KEPT))

    def forget_blocks_after(self, number: int) -> Sequence[str]:
        """Delete what was read after this block, and return what it was about."""
        gone = self._session.exec(select(LogRow.subject).where(LogRow.block > number).distinct()).all()
        self._session.execute(delete(LogRow).where(col(LogRow.block) > number))
        self._session.execute(delete(SeenBlock).where(col(SeenBlock.number) > number))
        self._session.execute(
            update(BatchedClaimRow)
            .where(col(BatchedClaimRow.block) > number)
            .values(outcome=None, block=None, told_at=None)
        )
        return gone

    def doubt_transactions_after(self, number: int) -> None:
        """Have the lane look again for what it had seen for good after this block."""
        self._session.execute(
            update(TransactionRow)
            .where(col(TransactionRow.block) > number, col(TransactionRow.status).in_(FINAL))
            .values(status="mined")
        )

    def logs_of(self, subject: str) -> Sequence[LogRow]:
        """Return the logs about a rental or device, in the chain's order."""
        statement = select(LogRow).where(LogRow.subject == subject)
        order = (col(LogRow.block), col(LogRow.position), col(LogRow.row))
        return self._session.exec(statement.order_by(*order)).all()


def _transactions_of() -> CompoundSelect[Any]:
    told = [getattr(TransactionRow, name) for name in ("id", *_TOLD)]
    given: BindParameter[Any] = bindparam("rental_ids", expanding=True)
    alone = sqlalchemy.select(col(TransactionRow.rental_id), *told).where(
        col(TransactionRow.rental_id).in_(given)
    )
    batched = sqlalchemy.select(col(BatchedClaimRow.rental_id), *told).where(
        col(BatchedClaimRow.transaction_id) == TransactionRow.id, col(BatchedClaimRow.rental_id).in_(given)
    )
    return union_all(alone, batched).order_by("id")


# Made once: it is asked at every look of every agent. Two halves, for one with an OR reads the whole table.
_TOLD = tuple(Transaction.model_fields)
_TRANSACTIONS_OF = _transactions_of()
