"""The lane: chain transactions as rows.

One intent is one nonce, and at most one transaction with it is ever mined.

An intent is queued in the unit of work that makes it true. Later, outside any unit of work, all that are
queued are estimated beside each other (a revert refuses one, nothing was sent); signed with the next nonces,
the raw transactions on disk BEFORE any is broadcast; broadcast in the order of their nonces; looked up;
confirmed once they lie k blocks deep. Three outcomes: confirmed, refused, and unknown, which only looking at
the chain resolves. After a crash, or where the chain forgot blocks, the very same bytes are broadcast again.
"""

import threading
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from datetime import datetime, timedelta

from hireling.rental.typed_data import from_hex
from services.chassis.concurrency import at_once
from services.chassis.database import Database
from services.chassis.logging import get_logger
from services.chassis.tracing import rental_work
from services.settlement import metrics
from services.settlement.escrow.chain import Chain, Fees
from services.settlement.escrow.node import Block, ChainUnreachable, NodeRefused, Reverted
from services.settlement.estimates import call_of, estimate_of
from services.settlement.lane_rows import LaneRows, Mined, Signed, id_of
from services.settlement.models import AttemptRow, TransactionRow
from services.settlement.moves import CLAIMS

BATCH = 20
# The node answers these at the same time; a public one would not take many more from one caller.
ASKED_AT_ONCE = 8
# A node that has the transaction already says so in one of these ways (geth, anvil, erigon, nethermind).
ALREADY_THERE = ("already known", "already imported", "alreadyknown", "known transaction")

_log = get_logger(__name__)


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
        self._rows = LaneRows(database, now)
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

    def _advance(self) -> None:
        mined_nonce = self._follow_up()
        queued = self._rows.queued(limit=BATCH)
        if queued:
            self.is_waiting = True
            self._send(queued, mined_nonce=mined_nonce)

    # -- signed ones

    def _follow_up(self) -> int:
        head = self._chain.head()
        deep = max(0, head.number - (self._confirmations - 1))
        mined_nonce = self._chain.nonce()
        unsettled = self._rows.unsettled(mined_nonce=mined_nonce)
        may_be_mined = [each for each in unsettled if _nonce(each) < mined_nonce]
        found = at_once(lambda each: self._look_up(each, deep=deep), may_be_mined, most=ASKED_AT_ONCE)
        self._note_mined([mined for mined in found if mined is not None and mined.is_news])
        missing = [signed for signed, mined in zip(may_be_mined, found, strict=True) if mined is None]
        if missing:
            self._requeue_lost(missing, deep=deep, head=head)
        for signed in unsettled:
            if _nonce(signed) >= mined_nonce:
                self._chase(signed, is_next=_nonce(signed) == mined_nonce)
        self.is_waiting = bool(unsettled)
        return mined_nonce

    def _look_up(self, signed: Signed, *, deep: int) -> Mined | None:
        """Return what the chain says of an intent, None where it has none of its transactions."""
        row = signed.row
        for attempt in signed.attempts:
            receipt = self._chain.receipt(from_hex(attempt.hash))
            if receipt is not None:
                reason = None if receipt.succeeded else self._reason(row)
                final = "confirmed" if receipt.succeeded else "refused"
                status = final if receipt.block <= deep else "mined"
                return Mined(row, attempt.hash, receipt, status, reason)
        return None

    def _note_mined(self, news: Sequence[Mined]) -> None:
        if not news:
            return
        self._rows.note_mined(news, self._chain.anchor)
        for mined in news:
            with self._work("see", mined.row):
                _log.info(
                    "transaction_seen",
                    kind=mined.row.kind,
                    rental_id=mined.row.rental_id,
                    status=mined.status,
                    tx_hash=mined.hash,
                    block=mined.receipt.block,
                )
            if mined.status != "mined":
                metrics.TRANSACTIONS.labels(mined.row.kind, mined.status).inc()

    def _requeue_lost(self, missing: Sequence[Signed], *, deep: int, head: Block) -> None:
        """Begin those intents anew whose nonces went to others' transactions, so that theirs are never mined.

        A node may count a nonce a moment before it has the receipt, or the chain may go back between the two
        questions. So a nonce is only believed where it is counted k blocks deep, and where the newest block
        from before all questions is still there: one chain gave all answers. Else the next look tells.
        """
        try:
            settled_nonce = self._chain.nonce(at=deep)
        except NodeRefused:
            return  # it does not know that block's state, and will soon know a newer one's
        lost = [
            each
            for each in missing
            if _nonce(each) < settled_nonce and self._look_up(each, deep=deep) is None
        ]
        still = self._chain.block(head.number)
        if still is None or still.hash != head.hash:
            return
        for signed in lost:
            self._rows.begin_anew(signed.row)
            _log.warning("transaction_requeued", kind=signed.row.kind, nonce=signed.row.nonce)

    def _chase(self, signed: Signed, *, is_next: bool) -> None:
        """Hand the newest attempt to the node unless it has it, or pay more where it has waited too long."""
        row, newest = signed.row, signed.newest
        if row.block is not None:
            if self._look_up(signed, deep=row.block) is not None:
                return  # of several nodes behind one address, the one that counted nonces is behind
            self._rows.note_forgotten(row)
            _log.warning("transaction_forgotten", kind=row.kind, block=row.block, nonce=row.nonce)
        elif newest.hash in self._handed_over and row.status != "unknown":
            if is_next and self._now() >= newest.signed_at + self._stuck_after:
                self._outbid(row, newest)
            return
        self._hand_over(row, newest)

    def _outbid(self, row: TransactionRow, stuck: AttemptRow) -> None:
        market, bumped = self._chain.fees(), Fees(stuck.max_fee, stuck.tip).bumped()
        fees = Fees(max(market.max_fee, bumped.max_fee), max(market.tip, bumped.tip))
        # Its own limit again: a node may estimate on top of what is pending, where the very same call costs
        # less.
        attempt = self._sign(row, nonce=stuck.nonce, gas=stuck.gas, fees=fees)
        self._rows.add(attempt)
        self._hand_over(row, attempt)

    # -- queued ones

    def _send(self, queued: Sequence[TransactionRow], *, mined_nonce: int) -> None:
        gas: dict[int, int] = {}
        unanswered: list[ChainUnreachable] = []
        for estimate in at_once(lambda row: estimate_of(self._chain, row), queued, most=ASKED_AT_ONCE):
            match estimate.failure:
                case None:
                    gas[id_of(estimate.row)] = estimate.gas
                case Reverted() as error:
                    self._refuse(estimate.row, str(error))
                case NodeRefused() as error:
                    self._set_aside(estimate.row, str(error))
                case ChainUnreachable() as error:
                    unanswered.append(error)
        going = [row for row in queued if id_of(row) in gas]
        if going:
            self._sign_and_send(going, gas, mined_nonce=mined_nonce)
        if unanswered:  # a node that limits its callers answers some: those have left, the others are next
            raise unanswered[0]

    def _sign_and_send(
        self, going: Sequence[TransactionRow], gas: Mapping[int, int], *, mined_nonce: int
    ) -> None:
        fees = self._chain.fees()
        signed = self._rows.sign_off(
            going,
            lambda row, nonce: self._sign(row, nonce=nonce, gas=gas[id_of(row)], fees=fees),
            mined_nonce=mined_nonce,
        )
        for each in signed:
            with self._work("send", each.row):
                _log.info(
                    "transaction_signed",
                    kind=each.row.kind,
                    rental_id=each.row.rental_id,
                    nonce=each.row.nonce,
                    tx_hash=each.newest.hash,
                )
                self._hand_over(each.row, each.newest)

    def _refuse(self, row: TransactionRow, reason: str) -> None:
        self._rows.note(row, status="refused", reason=reason)
        metrics.TRANSACTIONS.labels(row.kind, "refused").inc()
        _log.warning("transaction_refused", kind=row.kind, rental_id=row.rental_id, reason=reason)

    def _set_aside(self, row: TransactionRow, reason: str) -> None:
        """Go on with the others where the node would not even look at the call.

        A batch may be too much for one transaction: it is refused, and smaller ones follow.
        """
        if row.kind == CLAIMS:
            self._refuse(row, reason)
            return
        self._rows.note(row, status="queued", reason=reason)
        _log.warning("transaction_set_aside", kind=row.kind, rental_id=row.rental_id, reason=reason)

    def _sign(self, row: TransactionRow, *, nonce: int, gas: int, fees: Fees) -> AttemptRow:
        signed = self._chain.sign(call_of(row), nonce=nonce, gas=gas, fees=fees)
        return AttemptRow(
            hash=f"0x{signed.hash.hex()}",
            transaction_id=id_of(row),
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
            self._rows.note(row, status="unknown", reason=str(error))
            raise
        except (NodeRefused, Reverted) as error:
            if not any(words in str(error).lower() for words in ALREADY_THERE):
                # It stays signed: the next look tells whether its nonce was taken, and tries again where not.
                self._rows.note(row, status="sent", reason=str(error))
                _log.warning("broadcast_refused", kind=row.kind, nonce=attempt.nonce, reason=str(error))
                return
        self._handed_over.add(attempt.hash)
        self._rows.note(row, status="sent", reason=None)

    def _work(self, verb: str, row: TransactionRow) -> AbstractContextManager[None]:
        """Return work on a transaction, in the trace of its rental or linked to those of a batch."""
        rentals = [row.rental_id] if row.kind != CLAIMS else self._rows.rentals_in(row)
        return rental_work(f"{verb} {row.kind}", service="settlement", rental_ids=rentals)

    def _reason(self, row: TransactionRow) -> str:
        try:
            self._chain.simulate(call_of(row))
        except Reverted as error:
            return str(error)
        return "mined and failed"


def _nonce(signed: Signed) -> int:
    assert signed.row.nonce is not None  # noqa: S101 - it was signed
    return signed.row.nonce
