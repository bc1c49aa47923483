"""Settlement's only queries, one Store a unit of work."""

from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import and_, delete, func, or_
from sqlmodel import Session, col, select

from services.chassis.outbox import add_event
from services.messages.errors import NotFound
from services.messages.event import Event
from services.settlement.models import (
    AttemptRow,
    BillRow,
    DeviceRow,
    EarlyReadingRow,
    LeaseRow,
    LogRow,
    RefusalRow,
    RentalRow,
    SeenBlock,
    TransactionRow,
)

# Signed and not final: the chain still has to say what became of them.
PENDING = ("sent", "unknown", "mined")
IN_FLIGHT = ("queued", *PENDING)
SEEN_KEPT = 512


class Store:
    """What one unit of work reads and writes; ``now`` stamps what it writes."""

    def __init__(self, session: Session, *, now: datetime) -> None:
        self._session = session
        self.now = now

    def add(self, row: object) -> None:
        """Keep a new row."""
        self._session.add(row)

    def say(self, event: Event) -> None:
        """Tell everybody, once this unit of work commits."""
        add_event(self._session, event, now=self.now)

    # -- rentals

    def find_rental(self, rental_id: str) -> RentalRow | None:
        """Return the rental, kept from other writers until this unit of work ends."""
        statement = select(RentalRow).where(RentalRow.rental_id == rental_id).with_for_update()
        return self._session.exec(statement).one_or_none()

    def rental(self, rental_id: str) -> RentalRow:
        """Return the rental, locked as `find_rental` does. Raises NotFound."""
        return _found(self.find_rental(rental_id), rental_id)

    def rental_as_it_is(self, rental_id: str) -> RentalRow:
        """Return the rental for reading only. Raises NotFound."""
        return _found(self._session.get(RentalRow, rental_id), rental_id)

    def rentals_with_open_money(self) -> Sequence[RentalRow]:
        """Return the rentals whose money the escrow holds."""
        return self._session.exec(select(RentalRow).where(RentalRow.money == "open")).all()

    def rentals_due(self, *, chain_time: int) -> Sequence[RentalRow]:
        """Return the rentals whose state's deadline has passed at the chain's Unix time."""
        return self._session.exec(select(RentalRow).where(col(RentalRow.due_at) < chain_time)).all()

    def rentals_to_bill(self, ended: Iterable[str]) -> Sequence[RentalRow]:
        """Return the paid out rentals in these states that have no bill and only final transactions."""
        moving = select(TransactionRow.rental_id).where(
            col(TransactionRow.status).in_(IN_FLIGHT), col(TransactionRow.rental_id).is_not(None)
        )
        statement = select(RentalRow).where(
            RentalRow.money == "done",
            col(RentalRow.billed).is_(False),
            col(RentalRow.state).in_(list(ended)),
            col(RentalRow.rental_id).not_in(moving),
        )
        return self._session.exec(statement).all()

    def page_of_rentals(
        self,
        *,
        device: str | None,
        renter: str | None,
        states: Sequence[str] | None,
        after: tuple[datetime, str] | None,
        limit: int,
    ) -> Sequence[RentalRow]:
        """Return up to limit + 1 rentals, newest first, narrowed by whatever is given."""
        created, key = col(RentalRow.created_at), col(RentalRow.rental_id)
        statement = select(RentalRow).order_by(created.desc(), key.desc()).limit(limit + 1)
        if device is not None:
            statement = statement.where(RentalRow.device == device)
        if renter is not None:
            statement = statement.where(RentalRow.renter == renter)
        if states is not None:
            statement = statement.where(col(RentalRow.state).in_(states))
        if after is not None:
            statement = statement.where(or_(created < after[0], and_(created == after[0], key < after[1])))
        return self._session.exec(statement).all()

    def refusals(self, rental_id: str) -> Sequence[RefusalRow]:
        """Return what settlement refused of a rental, oldest first."""
        statement = select(RefusalRow).where(RefusalRow.rental_id == rental_id).order_by(col(RefusalRow.seq))
        return self._session.exec(statement).all()

    # -- readings before their turn, of a rental that is locked

    def keep_early(self, rental_id: str, seq: int, signed: dict[str, Any]) -> None:
        """Keep a reading until its turn comes; the same one again changes nothing."""
        if self._session.get(EarlyReadingRow, (rental_id, seq)) is None:
            self.add(EarlyReadingRow(rental_id=rental_id, seq=seq, signed=signed))

    def take_early(self, rental_id: str, seq: int, *, limit: int) -> list[dict[str, Any]]:
        """Return up to ``limit`` kept readings from this number to the first gap, and keep them no longer."""
        of_rental = col(EarlyReadingRow.rental_id) == rental_id
        number = col(EarlyReadingRow.seq)
        statement = select(EarlyReadingRow.seq, EarlyReadingRow.signed).where(of_rental, number >= seq)
        rows = self._session.exec(statement.order_by(number).limit(limit)).all()
        run = [dict(signed) for expected, (found, signed) in enumerate(rows, start=seq) if found == expected]
        if run:
            taken = number.between(seq, seq + len(run) - 1)
            self._session.execute(delete(EarlyReadingRow).where(of_rental, taken))
        return run

    def rentals_with_early(self) -> Sequence[str]:
        """Return the rentals of which the very reading whose turn it is was kept."""
        follows = col(EarlyReadingRow.seq) == func.coalesce(RentalRow.seq, -1) + 1
        statement = select(RentalRow.rental_id).where(
            RentalRow.rental_id == EarlyReadingRow.rental_id,
            follows,
            col(RentalRow.refused_seq).is_(None),
            RentalRow.money != "done",
        )
        return self._session.exec(statement).all()

    def forget_early(self, rental_id: str) -> None:
        """Delete a rental's readings whose turn will not come."""
        self._session.execute(delete(EarlyReadingRow).where(col(EarlyReadingRow.rental_id) == rental_id))

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

    def transactions_of(self, rental_id: str) -> Sequence[TransactionRow]:
        """Return a rental's intents, oldest first."""
        statement = select(TransactionRow).where(TransactionRow.rental_id == rental_id)
        return self._session.exec(statement.order_by(col(TransactionRow.id))).all()

    def is_moving(self, rental_id: str, kinds: Iterable[str]) -> bool:
        """Return whether an intent of these kinds is under way for the rental."""
        statement = select(TransactionRow.id).where(
            TransactionRow.rental_id == rental_id,
            col(TransactionRow.kind).in_(list(kinds)),
            col(TransactionRow.status).in_(IN_FLIGHT),
        )
        return self._session.exec(statement.limit(1)).first() is not None

    def queued(self, *, limit: int) -> Sequence[TransactionRow]:
        """Return the oldest intents that were not signed yet."""
        statement = select(TransactionRow).where(TransactionRow.status == "queued")
        return self._session.exec(statement.order_by(col(TransactionRow.id)).limit(limit)).all()

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

    def attempts(self, transaction_id: int) -> Sequence[AttemptRow]:
        """Return the signed transactions of an intent, oldest first."""
        statement = select(AttemptRow).where(AttemptRow.transaction_id == transaction_id)
        return self._session.exec(statement.order_by(col(AttemptRow.signed_at))).all()

    def forget_attempts(self, transaction_id: int) -> None:
        """Delete signed transactions that can never be mined any more."""
        self._session.execute(delete(AttemptRow).where(col(AttemptRow.transaction_id) == transaction_id))

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
        return gone

    def logs_of(self, subject: str) -> Sequence[LogRow]:
        """Return the logs about a rental or device, in the chain's order."""
        statement = select(LogRow).where(LogRow.subject == subject)
        return self._session.exec(statement.order_by(col(LogRow.block), col(LogRow.position))).all()

    # -- devices, bills, the lease

    def find_device(self, device: str) -> DeviceRow | None:
        """Return the admitted device."""
        return self._session.get(DeviceRow, device)

    def bill(self, rental_id: str) -> BillRow:
        """Return the rental's bill. Raises NotFound."""
        row = self._session.get(BillRow, rental_id)
        if row is None:
            raise NotFound("bill_not_found", f"rental {rental_id} has no bill yet", rental_id=rental_id)
        return row

    def is_countersigned(self, rental_id: str) -> bool:
        """Return whether the rental has a bill that the owner's side countersigned."""
        statement = select(BillRow.countersigned).where(BillRow.rental_id == rental_id)
        return bool(self._session.exec(statement).one_or_none())

    def page_of_bills(self, *, after: tuple[datetime, str] | None, limit: int) -> Sequence[BillRow]:
        """Return up to limit + 1 bills, newest first."""
        issued, key = col(BillRow.issued_at), col(BillRow.rental_id)
        statement = select(BillRow).order_by(issued.desc(), key.desc()).limit(limit + 1)
        if after is not None:
            statement = statement.where(or_(issued < after[0], and_(issued == after[0], key < after[1])))
        return self._session.exec(statement).all()

    def hold_lease(self, name: str, *, holder: str, seconds: int) -> bool:
        """Return whether ``holder`` has the lease from now for this long.

        It had it, or nobody has it any more.
        """
        row = self._session.exec(
            select(LeaseRow).where(LeaseRow.name == name).with_for_update()
        ).one_or_none()
        if row is None:
            row = LeaseRow(name=name, holder=holder, until=self.now)
            self.add(row)
        if row.holder != holder and row.until > self.now:
            return False
        row.holder, row.until = holder, self.now + timedelta(seconds=seconds)
        return True


def _found(row: RentalRow | None, rental_id: str) -> RentalRow:
    if row is None:
        raise NotFound("rental_not_found", f"no rental {rental_id}", rental_id=rental_id)
    return row
