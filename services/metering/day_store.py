"""The queries about closed days and their roots. None of them commits."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import func, insert
from sqlalchemy.dialects import postgresql, sqlite
from sqlmodel import col, select

from services.metering.models import ClosedDay, DaySpan, DeviceDayRow, Rental
from services.metering.run_store import RunStore

_INSERTS: dict[str, Any] = {"sqlite": sqlite.insert, "postgresql": postgresql.insert}


@dataclass(frozen=True)
class Position:
    """How far a rental's readings are under the roots of closed days: all before ``next_seq``."""

    device: str
    rental_id: str
    next_seq: int


class DayStore(RunStore):
    """Every question and change of one transaction."""

    # -- what is to be closed

    def last_closed(self) -> int | None:
        """Return the newest closed day; all before it are closed, since the first one."""
        return self.session.exec(select(func.max(ClosedDay.day))).one()

    def first_agreed(self) -> datetime | None:
        """Return when the first rental was agreed: no reading is older."""
        return self.session.exec(select(func.min(Rental.agreed_at))).one()

    def positions(self) -> Sequence[Position]:
        """Return the rentals that have readings under no root yet, by device."""
        reached = (
            select(col(DaySpan.rental_id).label("rental_id"), func.max(DaySpan.last_seq).label("last_seq"))
            .group_by(col(DaySpan.rental_id))
            .subquery()
        )
        next_seq = func.coalesce(reached.c.last_seq + 1, 0)
        query = (
            select(Rental.device, Rental.rental_id, next_seq)
            .outerjoin(reached, reached.c.rental_id == Rental.rental_id)
            .where(Rental.next_seq > next_seq)
            .order_by(col(Rental.device), col(Rental.rental_id))
        )
        return [Position(*row) for row in self.session.exec(query)]

    # -- closing

    def close(self, day: ClosedDay) -> bool:
        """Add a closed day; return False where another process has closed it."""
        statement = (
            _INSERTS[self.session.get_bind().dialect.name](ClosedDay)
            .values(day.model_dump())
            .on_conflict_do_nothing(index_elements=["day"])
            .returning(col(ClosedDay.day))
        )
        return self.session.execute(statement).first() is not None

    def add_devices(self, devices: Sequence[dict[str, Any]], spans: Sequence[dict[str, Any]]) -> None:
        """Insert the devices' roots of a day, and which readings are under them."""
        if devices:
            self.session.execute(insert(DeviceDayRow), list(devices))
            self.session.execute(insert(DaySpan), list(spans))

    def lock_day(self, day: int) -> ClosedDay | None:
        """Return a closed day, kept from other writers until this transaction ends."""
        return self.session.exec(select(ClosedDay).where(ClosedDay.day == day).with_for_update()).first()

    # -- proving

    def span_with(self, rental_id: str, seq: int) -> DaySpan | None:
        """Return which readings of the rental, this one among them, are under the root of one day."""
        query = select(DaySpan).where(
            DaySpan.rental_id == rental_id, DaySpan.first_seq <= seq, DaySpan.last_seq >= seq
        )
        return self.session.exec(query).first()

    def first_open(self, rental_id: str) -> int:
        """Return the number of a rental's first reading that is under no root yet."""
        query = select(func.coalesce(func.max(DaySpan.last_seq) + 1, 0)).where(DaySpan.rental_id == rental_id)
        return self.session.exec(query).one()

    def spans_of(self, device: str, day: int) -> Sequence[DaySpan]:
        """Return which readings are under a device's root of a day, by rental."""
        query = select(DaySpan).where(DaySpan.day == day, DaySpan.device == device)
        return self.session.exec(query.order_by(col(DaySpan.rental_id))).all()

    def day(self, day: int) -> ClosedDay:
        """Return a closed day, which must exist."""
        return self.session.exec(select(ClosedDay).where(ClosedDay.day == day)).one()

    def device_day(self, device: str, day: int) -> DeviceDayRow:
        """Return a device's root of a day, which must exist."""
        query = select(DeviceDayRow).where(DeviceDayRow.device == device, DeviceDayRow.day == day)
        return self.session.exec(query).one()

    def devices_of(self, day: int) -> Sequence[DeviceDayRow]:
        """Return the devices' roots of a day."""
        return self.session.exec(select(DeviceDayRow).where(DeviceDayRow.day == day)).all()

    def days_of(self, device: str, *, before: int | None, limit: int) -> list[tuple[DeviceDayRow, ClosedDay]]:
        """Return up to `limit` of a device's roots, of days before this one, newest first."""
        query = (
            select(DeviceDayRow, ClosedDay)
            .where(DeviceDayRow.device == device, DeviceDayRow.day == ClosedDay.day)
            .order_by(col(DeviceDayRow.day).desc())
            .limit(limit)
        )
        if before is not None:
            query = query.where(DeviceDayRow.day < before)
        return [(root, day) for root, day in self.session.exec(query)]
