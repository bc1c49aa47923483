"""The neighbours' entrypoints."""

from typing import Any, ClassVar

from sqlmodel import Session, col, select

from hireling.rental.reading import SignedReading
from hireling.rental.typed_data import to_hex
from services.chassis.entrypoints import on_event, rpc
from services.chassis.outbox import add_event
from services.chassis.service import Service
from services.messages.event import Event
from services.messages.events.listing import DeviceAdmitted
from services.messages.events.metering import (
    CeilingAccepted,
    DayClosed,
    FlagCleared,
    Flagged,
    UsageAccepted,
)
from services.messages.events.negotiation import Agreed
from services.messages.events.settlement import (
    BillIssued,
    Claimed,
    DeviceRegistered,
    RentalChanged,
    RootAnnounced,
)
from tests.integration.settlement.neighbours.models import KeptReading

SAYS: dict[str, type[Event]] = {
    each.type: each
    for each in (
        Agreed,
        UsageAccepted,
        CeilingAccepted,
        DayClosed,
        DeviceAdmitted,
        Flagged,
        FlagCleared,
    )
}


class Neighbours(Service):
    """Says what listing, negotiation and metering say, and remembers what settlement said.

    It answers as metering does.
    """

    name = "metering"
    heard: ClassVar[list[Event]] = []

    @rpc
    def say(self, kind: str, payload: dict[str, Any]) -> None:
        """Say an event; metering keeps the readings it tells of."""
        event = SAYS[kind].model_validate(payload)
        with self.database.unit_of_work() as session:
            if isinstance(event, UsageAccepted):
                for reading in event.readings:
                    session.merge(_kept(reading))
            add_event(session, event, now=self.clock.now())

    @rpc
    def get_readings(self, rental_id: str, after: int, limit: int) -> dict[str, Any]:
        """Return a page of readings, as metering does."""
        with self.database.snapshot() as session:
            found = session.exec(
                select(KeptReading)
                .where(KeptReading.rental_id == rental_id, KeptReading.seq > after)
                .order_by(col(KeptReading.seq))
                .limit(limit)
            ).all()
        return {"items": [row.signed for row in found], "next": None}

    @rpc
    def get_reading_reaching(self, rental_id: str, amount: str) -> dict[str, Any] | None:
        """Return the first reading that asks so much, as metering does."""
        items = self.get_readings(rental_id, -1, 1_000)["items"]
        asks = (item for item in items if int(item["reading"]["amount_due"]) >= int(amount))
        return next(asks, None)

    @on_event(RentalChanged)
    def on_rental_changed(self, session: Session, event: RentalChanged) -> None:
        """Remember it."""
        self.heard.append(event)

    @on_event(Claimed)
    def on_claimed(self, session: Session, event: Claimed) -> None:
        """Remember it."""
        self.heard.append(event)

    @on_event(BillIssued)
    def on_bill_issued(self, session: Session, event: BillIssued) -> None:
        """Remember it."""
        self.heard.append(event)

    @on_event(DeviceRegistered)
    def on_device_registered(self, session: Session, event: DeviceRegistered) -> None:
        """Remember it."""
        self.heard.append(event)

    @on_event(RootAnnounced)
    def on_root_announced(self, session: Session, event: RootAnnounced) -> None:
        """Remember it."""
        self.heard.append(event)


def _kept(reading: SignedReading) -> KeptReading:
    return KeptReading(
        rental_id=to_hex(reading.reading.rental_id),
        seq=int(reading.reading.seq),
        signed=reading.model_dump(mode="json"),
    )
