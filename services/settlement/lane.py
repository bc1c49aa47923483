"""The lane: chain transactions as rows.

One intent is one nonce, and at most one transaction with it is ever mined.

An intent is queued in the unit of work that makes it true. Later, outside any unit of work: it is simulated
(a revert refuses it, nothing was sent); signed with the next nonce, the raw transaction on disk BEFORE it is
broadcast; broadcast; looked up; confirmed once it lies k blocks deep. Three outcomes: confirmed, refused, and
unknown, which only looking at the chain resolves. After a crash, or where the chain forgot blocks, the very
same bytes are broadcast again.
"""

import threading
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from datetime import datetime, timedelta

from hireling.rental.typed_data import from_hex
from services.chassis.database import Database
from services.chassis.logging import get_logger
from services.chassis.tracing import rental_work
from services.settlement import metrics
from services.settlement.escrow.chain import Chain, Fees
from services.settlement.escrow.node import Block, Call, ChainUnreachable, NodeRefused, Receipt, Reverted
from services.settlement.models import AttemptRow, TransactionRow
from services.settlement.moves import ANNOUNCE, CLAIMS, root_announced
from services.settlement.store import Store

BATCH = 20
# A node that has the transaction already says so in one of these ways (geth, anvil, erigon, nethermind).
ALREADY_THERE = ("already known", "already imported", "alreadyknown", "known transaction")

_log = get_logger(__name__)


@dataclass(frozen=True)
class Sighting:
    """What the chain says of an intent: which of its attempts is mined, if any."""

    hash: str | None = None
    receipt: Receipt | None = None
    failure: str | None = None


class Lane:
    """Drives the relayer's transactions; call `advance` again and again, from one place at a time."""

    def __init__(
        self,
        *,
        database: Database,
        chain: Chain,
        now: Callable[[], datetime],
        confirmations: int,
        stuck_after: timedelta,
    ) -> None:
        self._database = database
        self._chain = chain
        self._now = now
        self._confirmations = confirmations
        self._stuck_after = stuck_after
        # Hashes this process has handed to the node: after a restart, everything pending is handed over
        # again.
        self._handed_over: set[str] = set()
        # Two drivers at once would sign one intent with two nonces; the rows' own checks stop that between
        # processes.
        self._driving = threading.Lock()
        self.is_waiting = False
        """Whether the chain has still to say what became of something that was signed."""

    def advance(self) -> None:
        """Look after everything signed, then sign and send what is queued.

        Raises ChainUnreachable; calling again goes on.
        """
        self._alone(self._advance)

    def finish(self) -> None:
        """Look after everything signed, and sign nothing that is queued: another lane will.

        Raises ChainUnreachable; calling again goes on.
        """
        self._alone(self._follow_up)

    def _alone(self, work: Callable[[], object]) -> None:
        if not self._driving.acquire(blocking=False):
            return
        try:
            work()
        finally:
            self._driving.release()

    def _follow_up(self) -> int:
        # Asked before any receipt: a nonce counted here has its receipt by the time that is asked for, unless
        # the chain goes back in between.
        head = self._chain.head()
        mined_nonce = self._chain.nonce()
        unsettled = self._unsettled(mined_nonce)
        for row in unsettled:
            self._look_after(row, mined_nonce=mined_nonce, head=head)
        self.is_waiting = bool(unsettled)
        return mined_nonce

    def _advance(self) -> None:
        mined_nonce = self._follow_up()
        for row in self._queued():
            self.is_waiting = True
            with self._work("send", row):
                self._send(row, mined_nonce=mined_nonce)

    # -- signed ones

    def _look_after(self, row: TransactionRow, *, mined_nonce: int, head: Block) -> None:
        attempts = self._attempts(row)
        sighting = self._sighting(row, attempts)
        if sighting.receipt is not None:
            self._note_mined(row, sighting, deep=self._deep(head))
        elif row.nonce is not None and row.nonce < mined_nonce:
            if self._went_to_another(row.nonce, head):
                self._requeue(row)
        else:
            self._chase(row, attempts, is_next=row.nonce == mined_nonce)

    def _deep(self, head: Block) -> int:
        """Return the newest block that is believed where this is the newest there is."""
        return max(0, head.number - (self._confirmations - 1))

    def _went_to_another(self, nonce: int, head: Block) -> bool:
        """Return whether a nonce without a receipt is gone for good.

        It was counted as deep as all that is believed, and the newest block from before the receipts is still
        there: one chain gave all these answers. Otherwise the next look tells.
        """
        try:
            is_counted = nonce < self._chain.nonce(at=self._deep(head))
        except NodeRefused:  # a node that no longer has that block's state
            return False
        still = self._chain.block(head.number)
        return is_counted and still is not None and still.hash == head.hash

    def _sighting(self, row: TransactionRow, attempts: Sequence[AttemptRow]) -> Sighting:
        for attempt in attempts:
            receipt = self._chain.receipt(from_hex(attempt.hash))
            if receipt is not None:
                failure = None if receipt.succeeded else self._reason(row)
                return Sighting(attempt.hash, receipt, failure)
        return Sighting()

    def _note_mined(self, row: TransactionRow, sighting: Sighting, *, deep: int) -> None:
        receipt = sighting.receipt
        assert receipt is not None  # noqa: S101 - the caller saw it
        final = "confirmed" if receipt.succeeded else "refused"
        status = final if receipt.block <= deep else "mined"
        if (row.status, row.hash, row.block) == (status, sighting.hash, receipt.block):
            return

        def note(store: Store) -> None:
            kept = store.transaction(_id(row))
            kept.status, kept.hash, kept.block = status, sighting.hash, receipt.block
            kept.gas_used, kept.reason = receipt.gas_used, sighting.failure
            if (kept.kind, status) == (ANNOUNCE, "confirmed"):
                store.say(root_announced(kept, self._chain.anchor, seen_at=store.now))

        with self._work("see", row):
            self._write(note)
            _log.info(
                "transaction_seen",
                kind=row.kind,
                rental_id=row.rental_id,
                status=status,
                tx_hash=sighting.hash,
                block=receipt.block,
            )
        if status != "mined":
            metrics.TRANSACTIONS.labels(row.kind, status).inc()

    def _requeue(self, row: TransactionRow) -> None:
        """Begin the intent anew.

        Its nonce went to a transaction that is none of its attempts, so none can ever be mined.
        """

        def begin_anew(store: Store) -> None:
            kept = store.transaction(_id(row))
            kept.status, kept.nonce, kept.hash, kept.sent_at, kept.block = "queued", None, None, None, None
            kept.reason = f"nonce {row.nonce} went to another transaction"
            kept.gas_used = None
            store.forget_attempts(_id(row))

        self._write(begin_anew)
        _log.warning("transaction_requeued", kind=row.kind, nonce=row.nonce)

    def _chase(self, row: TransactionRow, attempts: Sequence[AttemptRow], *, is_next: bool) -> None:
        """Hand the newest attempt to the node unless it has it, or pay more where it has waited too long."""
        newest = attempts[-1]
        if row.block is not None:
            self._note_forgotten(row)
        elif newest.hash in self._handed_over and row.status != "unknown":
            if is_next and self._now() >= newest.signed_at + self._stuck_after:
                self._outbid(row, newest)
            return
        self._hand_over(row, newest)

    def _note_forgotten(self, row: TransactionRow) -> None:
        def note(store: Store) -> None:
            kept = store.transaction(_id(row))
            kept.status, kept.block, kept.gas_used = "sent", None, None
            kept.reason = f"the chain forgot block {row.block}"

        self._write(note)
        _log.warning("transaction_forgotten", kind=row.kind, block=row.block, nonce=row.nonce)

    def _outbid(self, row: TransactionRow, stuck: AttemptRow) -> None:
        call = _call_of(row)
        market, bumped = self._chain.fees(), Fees(stuck.max_fee, stuck.tip).bumped()
        fees = Fees(max(market.max_fee, bumped.max_fee), max(market.tip, bumped.tip))
        # Its own limit again: a node may estimate on top of what is pending, where the very same call costs
        # less.
        attempt = self._sign(row, call, nonce=stuck.nonce, gas=stuck.gas, fees=fees)
        self._write(lambda store: store.add(attempt))
        self._hand_over(row, attempt)

    # -- queued ones

    def _send(self, row: TransactionRow, *, mined_nonce: int) -> None:
        call = _call_of(row)
        try:
            self._chain.simulate(call)
            gas = self._chain.gas(call)
        except Reverted as error:
            self._refuse(row, str(error))
            return
        except NodeRefused as error:
            self._set_aside(row, str(error))
            return
        attempt = self._sign(row, call, nonce=self._next_nonce(mined_nonce), gas=gas, fees=self._chain.fees())

        def sign_off(store: Store) -> bool:
            kept = store.transaction(_id(row))
            if kept.status != "queued":
                return False
            kept.status, kept.nonce, kept.hash = "sent", attempt.nonce, attempt.hash
            kept.sent_at, kept.reason = attempt.signed_at, None
            store.add(attempt)
            return True

        if self._database.work(lambda session: sign_off(Store(session, now=self._now()))):
            _log.info(
                "transaction_signed",
                kind=row.kind,
                rental_id=row.rental_id,
                nonce=attempt.nonce,
                tx_hash=attempt.hash,
            )
            self._hand_over(row, attempt)

    def _refuse(self, row: TransactionRow, reason: str) -> None:
        def refuse(store: Store) -> None:
            kept = store.transaction(_id(row))
            kept.status, kept.reason = "refused", reason

        self._write(refuse)
        metrics.TRANSACTIONS.labels(row.kind, "refused").inc()
        _log.warning("transaction_refused", kind=row.kind, rental_id=row.rental_id, reason=reason)

    def _set_aside(self, row: TransactionRow, reason: str) -> None:
        """Go on with the others where the node would not even look at the call.

        A batch may be too much for one transaction: it is refused, and smaller ones follow.
        """
        if row.kind == CLAIMS:
            self._refuse(row, reason)
            return
        self._note(row, status="queued", reason=reason)
        _log.warning("transaction_set_aside", kind=row.kind, rental_id=row.rental_id, reason=reason)

    def _sign(self, row: TransactionRow, call: Call, *, nonce: int, gas: int, fees: Fees) -> AttemptRow:
        signed = self._chain.sign(call, nonce=nonce, gas=gas, fees=fees)
        return AttemptRow(
            hash=f"0x{signed.hash.hex()}",
            transaction_id=_id(row),
            nonce=nonce,
            raw=f"0x{signed.raw.hex()}",
            gas=gas,
            max_fee=fees.max_fee,
            tip=fees.tip,
            signed_at=self._now(),
        )

    def _hand_over(self, row: TransactionRow, attempt: AttemptRow) -> None:
        try:
            self._chain.broadcast(from_hex(attempt.raw))
        except ChainUnreachable as error:
            self._note(row, status="unknown", reason=str(error))
            raise
        except (NodeRefused, Reverted) as error:
            if not any(words in str(error).lower() for words in ALREADY_THERE):
                # It stays signed: the next look tells whether its nonce was taken, and tries again where not.
                self._note(row, status="sent", reason=str(error))
                _log.warning("broadcast_refused", kind=row.kind, nonce=attempt.nonce, reason=str(error))
                return
        self._handed_over.add(attempt.hash)
        self._note(row, status="sent", reason=None)

    # -- rows

    def _work(self, verb: str, row: TransactionRow) -> AbstractContextManager[None]:
        """Return work on a transaction, in the trace of its rental or linked to those of a batch."""
        rentals = [row.rental_id] if row.kind != CLAIMS else self._rentals_in(row)
        return rental_work(f"{verb} {row.kind}", service="settlement", rental_ids=rentals)

    def _rentals_in(self, row: TransactionRow) -> list[str | None]:
        with self._database.snapshot() as session:
            return list(Store(session, now=self._now()).rentals_in_batch(_id(row)))

    def _note(self, row: TransactionRow, *, status: str, reason: str | None) -> None:
        def note(store: Store) -> None:
            kept = store.transaction(_id(row))
            kept.status, kept.reason = status, reason

        self._write(note)

    def _reason(self, row: TransactionRow) -> str:
        try:
            self._chain.simulate(_call_of(row))
        except Reverted as error:
            return str(error)
        return "mined and failed"

    def _next_nonce(self, mined_nonce: int) -> int:
        with self._database.snapshot() as session:
            return max(mined_nonce, Store(session, now=self._now()).highest_nonce() + 1)

    def _unsettled(self, mined_nonce: int) -> Sequence[TransactionRow]:
        with self._database.snapshot() as session:
            return Store(session, now=self._now()).unsettled(mined_nonce=mined_nonce)

    def _queued(self) -> Sequence[TransactionRow]:
        with self._database.snapshot() as session:
            return Store(session, now=self._now()).queued(limit=BATCH)

    def _attempts(self, row: TransactionRow) -> Sequence[AttemptRow]:
        with self._database.snapshot() as session:
            return Store(session, now=self._now()).attempts(_id(row))

    def _write(self, change: Callable[[Store], None]) -> None:
        self._database.work(lambda session: change(Store(session, now=self._now())))


def _id(row: TransactionRow) -> int:
    assert row.id is not None  # noqa: S101 - it came from the database
    return row.id


def _call_of(row: TransactionRow) -> Call:
    return Call(to=from_hex(row.to), data=from_hex(row.data))
