"""The neighbours' entrypoints."""

from typing import Any, ClassVar

from sqlmodel import Session

from services.chassis.entrypoints import on_event, rpc
from services.chassis.outbox import add_event
from services.chassis.service import Service
from services.messages.event import Event
from services.messages.events.metering import UsageAccepted
from services.messages.events.negotiation import Agreed, AgreementSigned, OfferMade, QuoteRequested
from services.messages.events.settlement import BillIssued, RentalChanged

WORDS: dict[str, type[Event]] = {
    event.type: event
    for event in (Agreed, AgreementSigned, OfferMade, QuoteRequested, BillIssued, RentalChanged)
}


class Speaker(Service):
    """Says events on demand."""

    @rpc
    def say(self, kind: str, payload: dict[str, Any]) -> None:
        """Publish an event."""
        with self.database.unit_of_work() as session:
            add_event(session, WORDS[kind].model_validate(payload), now=self.clock.now())


class Negotiation(Speaker):
    """Says what negotiation says."""

    name = "negotiation"


class Settlement(Speaker):
    """Says what settlement says, and remembers what it hears."""

    name = "settlement"
    heard: ClassVar[list[UsageAccepted]] = []

    @on_event(UsageAccepted)
    def on_usage_accepted(self, session: Session, event: UsageAccepted) -> None:
        """Remember the event."""
        self.heard.append(event)
