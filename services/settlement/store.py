"""Settlement's only queries, one Store a unit of work."""

from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta
from typing import Any, NamedTuple

from sqlalchemy import Double, Text, and_, cast, delete, func, or_
from sqlmodel import col, select

from services.chassis.outbox import add_event
from services.messages.errors import NotFound
from services.messages.event import Event
from services.messages.settlement import BillPart
from services.settlement.chain_store import IN_FLIGHT
from services.settlement.models import (
    AcknowledgedRow,
    BatchedClaimRow,
    BillRow,
    DeviceRow,
    EarlyReadingRow,
    FlagRow,
    LeaseRow,
    RefusalRow,
    RentalRow,
    TransactionRow,
)
from services.settlement.seen_store import SeenStore, found_rental, skipped


class Held(NamedTuple):
    """Whose a lease is, and until when by its holder's clock."""

    holder: str
    until: datetime


class Store(SeenStore):
    """What one unit of work reads and writes; ``now`` stamps what it writes."""

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
        return found_rental(self.find_rental(rental_id), rental_id)

    def rental_as_it_is(self, rental_id: str) -> RentalRow:
        """Return the rental for reading only. Raises NotFound."""
        return found_rental(self._session.get(RentalRow, rental_id), rental_id)

    def rentals_with_open_money(self) -> Sequence[RentalRow]:
        """Return the rentals whose money the escrow holds."""
        return self._session.exec(select(RentalRow).where(RentalRow.money == "open")).all()

    def rentals_after(
        self, rental_id: str, *, limit: int, touched_since: datetime | None
    ) -> Sequence[RentalRow]:
        """Return up to `limit` rentals by their ids, from the one after this; see `Reconciliation.page`."""
        key = col(RentalRow.rental_id)
        statement = select(RentalRow).where(key > rental_id)
        if touched_since is not None:
            is_live = or_(col(RentalRow.money) == "open", col(RentalRow.updated_at) >= touched_since)
            statement = statement.where(is_live)
        return self._session.exec(statement.order_by(key).limit(limit)).all()

    def rentals_in(self, states: Iterable[str]) -> Sequence[RentalRow]:
        """Return the rentals in these states, kept from other writers, in the one order of locks."""
        statement = select(RentalRow).where(col(RentalRow.state).in_([str(state) for state in states]))
        return self._session.exec(statement.order_by(col(RentalRow.rental_id)).with_for_update()).all()

    def rentals_due(self, *, chain_time: int) -> Sequence[RentalRow]:
        """Return the rentals whose state's deadline has passed at the chain's Unix time."""
        return self._session.exec(select(RentalRow).where(col(RentalRow.due_at) < chain_time)).all()

    def rentals_to_bill(self, ended: Iterable[str]) -> Sequence[RentalRow]:
        """Return the paid out rentals in these states that have no bill and only final transactions."""
        in_flight = col(TransactionRow.status).in_(IN_FLIGHT)
        moving = select(TransactionRow.rental_id).where(in_flight, col(TransactionRow.rental_id).is_not(None))
        batched = select(BatchedClaimRow.rental_id).where(
            BatchedClaimRow.transaction_id == TransactionRow.id, in_flight
        )
        statement = select(RentalRow).where(
            RentalRow.money == "done",
            col(RentalRow.billed).is_(False),
            col(RentalRow.state).in_(list(ended)),
            col(RentalRow.rental_id).not_in(moving),
            col(RentalRow.rental_id).not_in(batched),
        )
        return self._session.exec(statement).all()

    def count_rentals(self) -> dict[str, int]:
        """Return how many rentals are in each state."""
        return dict(self._session.exec(select(RentalRow.state, func.count()).group_by(RentalRow.state)).all())

    def paid_so_far(self) -> float:
        """Return about what the escrow has paid on all rentals: the database sums in floating point."""
        statement = select(func.sum(cast(RentalRow.paid, Double))).where(RentalRow.money != "none")
        return float(self._session.exec(statement).one() or 0)

    def refusals(self, rental_id: str) -> Sequence[RefusalRow]:
        """Return what settlement refused of a rental, oldest first."""
        statement = select(RefusalRow).where(RefusalRow.rental_id == rental_id).order_by(col(RefusalRow.seq))
        return self._session.exec(statement).all()

    def skipped_claims(self, rental_id: str) -> Sequence[BatchedClaimRow]:
        """Return a rental's claims that the escrow skipped in a batch."""
        statement = select(BatchedClaimRow).where(BatchedClaimRow.rental_id == rental_id, *skipped())
        return self._session.exec(statement).all()

    # -- flags

    def find_flag(self, rental_id: str, seq: int, code: str) -> FlagRow | None:
        """Return a flag."""
        return self._session.get(FlagRow, (rental_id, seq, code))

    def flags(self, rental_id: str) -> Sequence[FlagRow]:
        """Return a rental's flags, ascending."""
        statement = select(FlagRow).where(FlagRow.rental_id == rental_id)
        return self._session.exec(statement.order_by(col(FlagRow.seq), col(FlagRow.code))).all()

    def standing_flags(self) -> dict[str, list[FlagRow]]:
        """Return the flags that nobody cleared of the rentals whose money the escrow holds."""
        is_open = select(RentalRow.rental_id).where(RentalRow.money == "open")
        statement = select(FlagRow).where(
            col(FlagRow.cleared_at).is_(None), col(FlagRow.rental_id).in_(is_open)
        )
        found: dict[str, list[FlagRow]] = {}
        for row in self._session.exec(statement):
            found.setdefault(row.rental_id, []).append(row)
        return found

    def flagged_rentals(self) -> Sequence[RentalRow]:
        """Return the rentals whose money the escrow holds and of which a flag is not cleared."""
        flagged = select(FlagRow.rental_id).where(col(FlagRow.cleared_at).is_(None))
        statement = select(RentalRow).where(RentalRow.money == "open", col(RentalRow.rental_id).in_(flagged))
        return self._session.exec(statement).all()

    def acknowledged_reading(self, rental_id: str) -> AcknowledgedRow | None:
        """Return the reading kept for what a rental's renter acknowledged."""
        return self._session.get(AcknowledgedRow, rental_id)

    def acknowledged_readings(self, rental_ids: Sequence[str]) -> dict[str, int]:
        """Return for which amount such a reading is kept, of each of these rentals that has one."""
        statement = select(AcknowledgedRow.rental_id, AcknowledgedRow.amount)
        return dict(self._session.exec(statement.where(col(AcknowledgedRow.rental_id).in_(rental_ids))).all())

    def keep_acknowledged(self, row: AcknowledgedRow) -> None:
        """Keep such a reading, in place of the one before."""
        self._session.merge(row)

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

    # -- devices, bills, the lease

    def find_device(self, device: str) -> DeviceRow | None:
        """Return the admitted device."""
        return self._session.get(DeviceRow, device)

    def bill(self, rental_id: str) -> BillRow:
        """Return the rental's bill. Raises NotFound."""
        row = self._session.get(BillRow, rental_id)
        if row is None:
            raise _no_bill(rental_id)
        return row

    def bill_part(self, rental_id: str, *, offset: int, length: int) -> BillPart:
        """Return so many characters of the bill's JSON, and its length. Raises NotFound."""
        text = cast(BillRow.signed, Text)
        statement = select(func.length(text), func.substr(text, offset + 1, length))
        found = self._session.exec(statement.where(BillRow.rental_id == rental_id)).one_or_none()
        if found is None:
            raise _no_bill(rental_id)
        return BillPart(length=found[0], text=found[1])

    def page_of_bills(self, *, after: tuple[datetime, str] | None, limit: int) -> Sequence[BillRow]:
        """Return up to limit + 1 bills, newest first."""
        issued, key = col(BillRow.issued_at), col(BillRow.rental_id)
        statement = select(BillRow).order_by(issued.desc(), key.desc()).limit(limit + 1)
        if after is not None:
            statement = statement.where(or_(issued < after[0], and_(issued == after[0], key < after[1])))
        return self._session.exec(statement).all()

    def hold_lease(self, name: str, *, holder: str, seconds: int, lapsed: Held | None) -> Held:
        """Return who has the lease: ``holder``, from now for this long, where it or nobody had it.

        ``lapsed`` is one that has run out, whatever its time says.
        """
        row = self._session.exec(
            select(LeaseRow).where(LeaseRow.name == name).with_for_update()
        ).one_or_none()
        if row is None:
            row = LeaseRow(name=name, holder=holder, until=self.now)
            self.add(row)
        held = Held(row.holder, row.until)
        if row.holder != holder and row.until > self.now and held != lapsed:
            return held
        row.holder, row.until = holder, self.now + timedelta(seconds=seconds)
        return Held(row.holder, row.until)


def _no_bill(rental_id: str) -> NotFound:
    return NotFound("bill_not_found", f"rental {rental_id} has no bill yet", rental_id=rental_id)
