"""Reads the chain's confirmed logs and moves the rentals by them.

What the chain says, k blocks deep, is the truth about money.

The hash of each block up to which everything was read is kept. Where the chain no longer has it, the chain
went back behind it: what was read after the newest common block is deleted and read again, and the money is
derived anew.
"""

from collections import defaultdict
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from typing import TypeVar

from hireling.rental.states import State
from hireling.rental.typed_data import from_hex
from services.chassis.database import Database
from services.chassis.logging import get_logger
from services.chassis.tracing import rental_work
from services.messages.errors import Conflict
from services.messages.events.settlement import DeviceRegistered, MeterChanged
from services.settlement import metrics, progress
from services.settlement.escrow.chain import Chain
from services.settlement.escrow.logs import CLAIMED, ChainLog
from services.settlement.escrow.node import Block, ChainUnreachable
from services.settlement.models import LogRow, SeenBlock
from services.settlement.store import Store

# One answer of a node: public ones refuse longer ranges.
LONGEST_RANGE = 2_000
REGISTERED = "DeviceRegistered"
METER_CHANGES = frozenset({"MeterRotated", "MeterRevoked"})
NO_METER = "0x"
# Between two looks so far apart by the chain's time nobody listened here, why ever: of what a machine did
# meanwhile, its readings are still on their way. Chains have a block every few seconds.
AWAY_SECONDS = 300

Found = TypeVar("Found")

_log = get_logger(__name__)


class Watch:
    """Follows one deployment's logs; call `follow` again and again, from one place at a time."""

    def __init__(
        self, *, database: Database, chain: Chain, now: Callable[[], datetime], confirmations: int
    ) -> None:
        self._database = database
        self._chain = chain
        self._now = now
        self._confirmations = confirmations
        self.is_behind = False
        """Whether the last look left confirmed blocks for the next."""

    def follow(self) -> bool:
        """Read the next confirmed blocks and return whether there were any.

        Raises ChainUnreachable; calling again goes on.
        """
        common = self._common_block()
        first = self._chain.deployment.block if common is None else common + 1
        head = self._chain.head()
        metrics.note_head(head.time)
        confirmed = head.number - (self._confirmations - 1)
        last = min(confirmed, first + LONGEST_RANGE - 1)
        self.is_behind = last < confirmed
        if last < first:
            return False
        # Its hash is asked for before the logs: if the chain changes in between, the next look sees another
        # hash.
        block = self._chain.block(last)
        if block is None:
            raise ChainUnreachable(f"block {last} has gone while it was read")
        logs = self._chain.logs(first=first, last=last)
        taken = self._database.work(
            lambda session: self._take_in(Store(session, now=self._now()), block, logs, after=common)
        )
        if not taken:
            return False
        for log in logs:
            if log.name == CLAIMED or "outcome" in log.arguments:
                metrics.CLAIMS.labels(str(log.arguments.get("outcome", CLAIMED)).lower()).inc()
        return True

    def _common_block(self) -> int | None:
        """Return the newest block read that the chain still has, after forgetting what was read beyond it."""
        newest = self._read(lambda store: store.last_seen())
        if newest is None or self._has(newest):
            return None if newest is None else newest.number
        common = next((known for known in self._read(lambda store: store.seen()) if self._has(known)), None)
        self._forget(after=-1 if common is None else common.number)
        return None if common is None else common.number

    def _has(self, known: SeenBlock) -> bool:
        block = self._chain.block(known.number)
        return block is not None and f"0x{block.hash.hex()}" == known.hash

    def _read(self, query: Callable[[Store], Found]) -> Found:
        with self._database.snapshot() as session:
            return query(Store(session, now=self._now()))

    def _forget(self, *, after: int, known: Block | None = None) -> None:
        def forget(store: Store) -> None:
            store.doubt_transactions_after(after)
            for subject in store.forget_blocks_after(after):
                row = store.find_rental(subject)
                if row is not None:
                    progress.follow_logs(store, row, store.logs_of(subject), new=(), at=row.entered_at)
            newest = store.last_seen()
            if known is not None and (newest is None or newest.number < known.number):
                store.add(_seen(known))

        self._database.work(lambda session: forget(Store(session, now=self._now())))
        _log.warning("chain_went_back", common_block=after)

    def reread(self, *, after: int) -> None:
        """Forget what was read after this block, derive the money anew, and read on from there.

        Raises ChainUnreachable, and Conflict where the chain has no such block.
        """
        block = None
        if after >= self._chain.deployment.block:
            block = self._chain.block(after)
            if block is None:
                raise Conflict("no_such_block", f"the chain has no block {after}")
        self._forget(after=after, known=block)

    def _take_in(self, store: Store, block: Block, logs: Sequence[ChainLog], *, after: int | None) -> bool:
        """Keep what these blocks say; return False, and keep nothing, where they no longer follow `after`."""
        newest = store.last_seen()
        if (None if newest is None else newest.number) != after:
            return False
        store.add(_seen(block))
        store.prune_seen(number=block.number)
        at = datetime.fromtimestamp(block.time, UTC)
        fresh: dict[str, list[LogRow]] = defaultdict(list)
        for log in logs:
            row = _row_of(log)
            store.add(row)
            fresh[log.subject].append(row)
        # In the order in which all others lock several: none waits for one who waits for it.
        for subject in sorted(fresh):
            self._follow_subject(store, subject, fresh[subject], at=at)
        if newest is not None and block.time - newest.time > AWAY_SECONDS:
            # No rental never began because nobody here heard that it did.
            for rental in store.rentals_in([State.FUNDED]):
                progress.wait_anew(rental, at=at)
        for rental in store.rentals_due(chain_time=block.time):
            with rental_work("follow time", service="settlement", rental_ids=[rental.rental_id]):
                progress.follow_time(store, rental, chain_time=block.time)
        return True

    def _follow_subject(self, store: Store, subject: str, new: Sequence[LogRow], *, at: datetime) -> None:
        rental = store.find_rental(subject)
        if rental is not None:
            with rental_work("follow logs", service="settlement", rental_ids=[subject]):
                progress.follow_logs(store, rental, store.logs_of(subject), new=new, at=at)
        for log in new:
            if log.name == REGISTERED:
                note_registered(store, subject, tx_hash=log.tx_hash)
            if log.name in METER_CHANGES:
                store.say(meter_change(log, seen_at=self._now()))
            if "outcome" in log.arguments:
                store.note_outcome(log, at=at)


def _seen(block: Block) -> SeenBlock:
    return SeenBlock(number=block.number, hash=f"0x{block.hash.hex()}", time=block.time)


def note_registered(store: Store, device: str, *, tx_hash: str) -> None:
    """Tell that the registry holds an admitted device, the first time this is seen."""
    row = store.find_device(device)
    if row is None or row.tx_hash is not None:
        return
    row.tx_hash = tx_hash
    store.say(DeviceRegistered(device=from_hex(device), tx_hash=from_hex(tx_hash)))


def meter_change(log: LogRow, *, seen_at: datetime) -> MeterChanged:
    """Return what is told of a device's key: the new one, or none where it was revoked."""
    meter = log.arguments["meter"] if log.name == "MeterRotated" else NO_METER
    return MeterChanged(
        device=from_hex(log.subject),
        meter=from_hex(meter),
        block=log.block,
        position=log.position,
        seen_at=seen_at,
    )


def _row_of(log: ChainLog) -> LogRow:
    return LogRow(
        block=log.block,
        position=log.position,
        row=log.row,
        tx_hash=log.tx_hash,
        name=log.name,
        subject=log.subject,
        arguments={
            name: value if isinstance(value, str) else str(value) for name, value in log.arguments.items()
        },
    )
