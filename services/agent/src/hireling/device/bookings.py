"""What the machine has promised, by time: so that it promises nothing twice and serves one by one."""

from dataclasses import dataclass
from datetime import UTC, datetime

from hireling.rental.agreement import SignedAgreement
from hireling.rental.slot import HOLD, Slot


@dataclass(frozen=True)
class Booking:
    """One agreement's slot; without its money it counts until ``held_until``."""

    slot: Slot
    held_until: datetime | None


class Bookings:
    """The machine's own calendar. Of two rentals for the same time, the one that is funded first has it."""

    def __init__(self, *, turnaround: int = 0, takes_bookings: bool = False) -> None:
        """``turnaround`` is in seconds; without ``takes_bookings`` there is one agreement at a time."""
        self.turnaround = turnaround
        self.takes_bookings = takes_bookings
        self._bookings: dict[bytes, Booking] = {}

    def hold(self, rental_id: bytes, slot: Slot, *, now: datetime) -> None:
        """Note an agreement whose money is not there yet."""
        self._bookings[rental_id] = Booking(slot, held_until=now + HOLD)

    def is_lost(self, rental_id: bytes, slot: Slot) -> bool:
        """Return whether another agreement for this one's time had its money first."""
        funded = [
            booking.slot
            for other, booking in self._bookings.items()
            if other != rental_id and booking.held_until is None
        ]
        return self._clash(funded, slot)

    def keep(self, rental_id: bytes, slot: Slot) -> None:
        """Note that an agreement with its money is accepted: no change of the owner's options undoes that."""
        self._bookings[rental_id] = Booking(slot, held_until=None)

    def release(self, rental_id: bytes) -> None:
        """Give back what an agreement has not used."""
        self._bookings.pop(rental_id, None)

    def is_free(self, slot: Slot, *, now: datetime) -> bool:
        """Return whether this stretch of time can be promised."""
        return not self._clash(self._promised(now), slot)

    def takes_questions(self, *, now: datetime) -> bool:
        """Return whether there is anything left to promise."""
        return self.takes_bookings or not self._promised(now)

    def _promised(self, now: datetime) -> list[Slot]:
        return [
            booking.slot
            for booking in self._bookings.values()
            if booking.held_until is None or booking.held_until > now
        ]

    def _clash(self, slots: list[Slot], wanted: Slot) -> bool:
        return any(not self.takes_bookings or slot.overlaps(wanted) for slot in slots)


def start_of(agreement: SignedAgreement) -> datetime:
    """Return when an agreement's time begins."""
    return datetime.fromtimestamp(agreement.agreement.pay.start_at, UTC)


def start_text(agreement: SignedAgreement) -> str:
    """Return in words when an agreement's time begins."""
    return f"{start_of(agreement):%Y-%m-%d %H:%M} UTC"
