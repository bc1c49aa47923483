"""Devices' calendars: which stretches of time are promised, and to which rental.

Every step is part of the caller's transaction, which runs as if alone, so no two of them take the same time.
"""

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from sqlalchemy import delete
from sqlmodel import Session, col, select

from hireling.rental.agreement import SignedAgreement
from hireling.rental.listing import ListingDocument
from hireling.rental.offer import FUNDING_SECONDS, Offer, QuoteRequest
from hireling.rental.slot import Slot, end_by, next_start, slot_of
from hireling.rental.table import Table
from hireling.rental.typed_data import to_hex
from services.messages.errors import Conflict
from services.messages.negotiation import BusySlot
from services.negotiation.models import SlotRow


@dataclass(frozen=True, kw_only=True)
class Wanted:
    """A rental that somebody wants of a listed device, and the slot that it takes."""

    listing: ListingDocument
    start_at: int
    seconds: int
    fund_by: int
    now: datetime

    @property
    def device(self) -> str:
        """Return the device's id as it is kept."""
        return to_hex(self.listing.device)

    @property
    def alone(self) -> bool:
        """Return whether the device has one agreement at a time."""
        return self.listing.books_ahead == 0

    @property
    def slot(self) -> Slot:
        """Return the slot that it takes."""
        return self.slot_at(self.start_at)

    def slot_at(self, start_at: int) -> Slot:
        """Return the slot that it would take with this start."""
        ends = end_by(fund_by=self.fund_by, start_at=start_at, seconds=self.seconds, grace=self.listing.grace)
        return slot_of(start_at=start_at, ends=ends, turnaround=self.listing.turnaround, now=self.now)

    def clashes(self, rows: Sequence[SlotRow]) -> list[SlotRow]:
        """Return the rows that keep this device from it."""
        return [row for row in rows if self.alone or row.alone or _slot(row).overlaps(self.slot)]


def wanted_by(request: QuoteRequest, listing: ListingDocument, *, now: datetime) -> Wanted:
    """Return what a question is about, if it were answered now."""
    return Wanted(
        listing=listing,
        start_at=Table(listing=listing, request=request).start,
        seconds=request.seconds,
        fund_by=int(now.timestamp()) + FUNDING_SECONDS,
        now=now,
    )


def wanted_in(offer: Offer, listing: ListingDocument, *, now: datetime) -> Wanted:
    """Return what an offer's agreement takes."""
    return Wanted(
        listing=listing, start_at=offer.start_at, seconds=offer.seconds, fund_by=offer.fund_by, now=now
    )


class Calendar:
    """Devices' calendars as one unit of work sees them: read once a device, written at its end."""

    def __init__(self, session: Session, devices: Collection[str], *, hold: timedelta, now: datetime) -> None:
        """``devices`` are read at once; ``hold`` is how long an agreement has its slot without its money."""
        self._session, self._hold, self._now = session, hold, now
        self._rows: dict[str, list[SlotRow]] = {device: [] for device in devices}
        self._taken: list[SlotRow] = []
        for row in _rows(session, devices):
            self._rows[row.device].append(row)

    def require_free(self, wanted: Wanted) -> None:
        """Raise Conflict where the slot is taken, with the next start that is free."""
        rows = self._holding(wanted.device)
        clashes = wanted.clashes(rows)
        if clashes:
            raise _taken(wanted, rows, by=max(clashes, key=lambda row: row.ends_at))

    def is_promised(self, listing: ListingDocument, slot: Slot) -> bool:
        """Return whether a listed device is promised to somebody in a slot."""
        rows = self._holding(to_hex(listing.device))
        alone = listing.books_ahead == 0
        return any(alone or row.alone or _slot(row).overlaps(slot) for row in rows)

    def require_free_for(self, agreed: SignedAgreement, wanted: Wanted) -> None:
        """Raise Conflict where the slot is taken, or where this renter has another one that is not funded."""
        self.require_free(wanted)
        renter = to_hex(agreed.agreement.rules.renter)
        rows = self._holding(wanted.device)
        held = next((row for row in rows if row.renter == renter and not row.funded), None)
        if held is not None:
            raise Conflict(
                "hold_open",
                f"this renter holds the device for rental {held.rental_id}, not funded yet: one at a time",
                rental_id=held.rental_id,
                until=held.held_until.isoformat(),
            )

    def take(self, agreed: SignedAgreement, wanted: Wanted) -> None:
        """Take the slot of what both sides signed; without its money it keeps others off for a while."""
        row = SlotRow(
            rental_id=to_hex(agreed.rental_id),
            device=wanted.device,
            renter=to_hex(agreed.agreement.rules.renter),
            starts_at=wanted.slot.start,
            ends_at=wanted.slot.end,
            alone=wanted.alone,
            held_until=self._now + self._hold,
            funded=False,
        )
        self._rows[wanted.device].append(row)
        self._taken.append(row)

    def write(self) -> None:
        """Keep what was taken."""
        self._session.add_all(self._taken)
        self._session.flush()

    def _holding(self, device: str) -> list[SlotRow]:
        if device not in self._rows:
            self._rows[device] = list(_rows(self._session, [device]))
        return _holding(self._rows[device], now=self._now)


def hold_again(
    session: Session,
    agreed: SignedAgreement,
    listing: ListingDocument | None,
    *,
    hold: timedelta,
    now: datetime,
) -> None:
    """Take the slot of an agreement that was lost, by what its device lists now.

    Whatever is promised there meanwhile: of two that are funded, `note_funded` lets one have it.
    """
    if session.get(SlotRow, to_hex(agreed.rental_id)) is not None:
        return
    offer = agreed.offer
    turnaround = listing.turnaround if listing else 0
    slot = slot_of(start_at=offer.start_at, ends=offer.end_by, turnaround=turnaround, now=now)
    row = SlotRow(
        rental_id=to_hex(agreed.rental_id),
        device=to_hex(offer.device),
        renter=to_hex(offer.renter),
        starts_at=slot.start,
        ends_at=slot.end,
        alone=listing is None or listing.books_ahead == 0,
        held_until=now + hold,
        funded=False,
    )
    session.add(row)


def note_funded(session: Session, rental_id: bytes) -> None:
    """Keep the slot for good; where another one had its money first, give it up: its device refunds it."""
    row = session.get(SlotRow, to_hex(rental_id))
    if row is None or row.funded:
        return
    others = _rows(session, [row.device])
    first = [each for each in others if each.funded and _clash(each, row)]
    if first:
        session.delete(row)
    else:
        row.funded = True


def free(session: Session, rental_id: bytes) -> None:
    """Give back what a rental has not used: its machine is free from now on."""
    session.execute(delete(SlotRow).where(col(SlotRow.rental_id) == to_hex(rental_id)))


def busy(session: Session, device: str, *, now: datetime) -> tuple[BusySlot, ...]:
    """Return the slots of a device that are promised, the earliest first, and not to whom."""
    rows = _holding(_rows(session, [device]), now=now)
    return tuple(
        BusySlot(
            start_at=datetime.fromtimestamp(row.starts_at, UTC),
            until=datetime.fromtimestamp(row.ends_at, UTC),
            funded=row.funded,
        )
        for row in rows
    )


def _next_start(wanted: Wanted, rows: Sequence[SlotRow]) -> int:
    if not wanted.alone and not any(row.alone for row in rows):
        return next_start([_slot(row) for row in rows], wanted.slot_at, after=wanted.slot.start)
    # One agreement at a time: when the present one ends, which of an overdue one nobody knows.
    now = int(wanted.now.timestamp())
    taken = Slot(start=0, end=max(now + 1, *(row.ends_at for row in rows)))
    return next_start([taken], wanted.slot_at, after=now)


def _taken(wanted: Wanted, rows: Sequence[SlotRow], *, by: SlotRow) -> Conflict:
    until = datetime.fromtimestamp(by.ends_at, UTC)
    start = _next_start(wanted, rows)
    return Conflict(
        "device_taken",
        f"the device is promised to rental {by.rental_id} until {until:%Y-%m-%d %H:%M:%S} UTC at the "
        f"latest; free for as long from {datetime.fromtimestamp(start, UTC):%Y-%m-%d %H:%M} UTC on",
        rental_id=by.rental_id,
        until=until.isoformat(),
        next_start=str(start),
    )


def _holding(rows: Iterable[SlotRow], *, now: datetime) -> list[SlotRow]:
    return [row for row in rows if row.funded or row.held_until > now]


def _rows(session: Session, devices: Collection[str]) -> Sequence[SlotRow]:
    if not devices:
        return ()
    statement = select(SlotRow).where(col(SlotRow.device).in_(devices))
    return session.exec(statement.order_by(col(SlotRow.starts_at), col(SlotRow.rental_id))).all()


def _slot(row: SlotRow) -> Slot:
    return Slot(start=row.starts_at, end=row.ends_at)


def _clash(one: SlotRow, other: SlotRow) -> bool:
    if one.rental_id == other.rental_id:
        return False
    return one.alone or other.alone or _slot(one).overlaps(_slot(other))
