"""The metering service on the in-process bus, next to neighbours that say what they are told to."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from hireling.rental.ceiling import SignedCeiling, first_ceiling, sign_ceiling
from hireling.rental.states import State
from services.chassis.database import open_database
from services.chassis.runner import Platform, running
from services.messages.errors import Invalid, NotFound, Refused
from services.messages.event import Event
from services.messages.events.negotiation import Agreed, AgreementSigned, OfferMade, QuoteRequested
from services.messages.events.settlement import BillIssued, RentalChanged
from services.messages.metering import Refusal
from services.metering.downlink_store import Pending
from services.metering.service import Metering
from services.metering.store import Store
from services.metering.taking import rental_row
from tests.builders import DOMAIN, METER_KEY, NOW, RENTER_AGENT_KEY, a_reading_chain
from tests.fakes.clock import FixedClock
from tests.integration.metering.books import Books, Clerk
from tests.integration.metering.neighbours.service import Negotiation, Settlement

SECONDS = 5.0
HONEST = a_reading_chain(6)


@dataclass
class Room:
    """The running service, its neighbours and its books."""

    platform: Platform
    books: Books

    def call(self, method: str, *arguments: Any) -> Any:
        """Call metering."""
        return self.platform.rpc.call("metering", method, *arguments, timeout=SECONDS)

    def say(self, event: Event) -> None:
        """Have a neighbour say an event."""
        payload = event.model_dump(mode="json")
        self.platform.rpc.call(event.source, "say", event.type, payload, timeout=SECONDS)

    def agree(self) -> None:
        """Have the rental agreed, and wait until metering knows it."""
        signed = self.books.signed
        self.say(Agreed(quote_id="quote-1", rental_id=signed.rental_id, signed=signed))
        self.until(lambda: len(self.downlink()) == 1)

    def downlink(self) -> Sequence[Pending]:
        """Return what devices are to be told."""
        with self.books.database.snapshot() as session:
            return Store(session).unpublished(limit=100)

    def until(self, condition: Any) -> None:
        """Let the services run until the condition holds."""
        self.platform.wait_until(condition, timeout=SECONDS)

    def ceiling(self, **changes: int) -> SignedCeiling:
        """Return a ceiling signed by the renter's agent."""
        signed = self.books.signed
        first = first_ceiling(signed.agreement, rental_id=signed.rental_id)
        return sign_ceiling(RENTER_AGENT_KEY, DOMAIN, first.model_copy(update=changes))


@pytest.fixture
def room(tmp_path: Path) -> Iterator[Room]:
    """Run metering and its neighbours."""
    names = ("metering", "negotiation", "settlement")
    Settlement.heard.clear()
    databases = {name: f"sqlite:///{tmp_path}/{name}.db" for name in names}
    with running(Metering, Negotiation, Settlement, databases=databases, clock=FixedClock(NOW)) as platform:
        database = open_database(databases["metering"])
        yield Room(platform, Books(database))
        database.close()


class TestEvents:
    def test_an_agreement_makes_the_rental_known_and_is_told_to_the_device(self, room: Room) -> None:
        room.agree()
        with room.books.database.snapshot() as session:
            rental = Store(session).rentals([room.books.rental_id])[room.books.rental_id]
        assert rental == rental_row(room.books.signed, now=NOW)
        assert rental.counter_caps == [3_000_000, 1_000]
        [message] = room.downlink()
        assert message.topic == f"hireling/{room.books.device}/notices"
        assert message.payload == {
            "type": "agreed",
            "quote_id": "quote-1",
            "rental_id": room.books.rental_id,
        }

    def test_ignores_a_redelivered_event(self, room: Room) -> None:
        room.agree()
        signed = room.books.signed
        # The same agreement under another event key, as after a loss of the inbox.
        room.say(Agreed(quote_id="quote-1", rental_id=b"\x01" * 32, signed=signed))
        room.until(lambda: len(room.downlink()) == 2)
        with room.books.database.snapshot() as session:
            assert list(Store(session).rentals([room.books.rental_id])) == [room.books.rental_id]

    def test_everything_a_device_should_look_at_becomes_a_notice(self, room: Room) -> None:
        rental_id, device = room.books.signed.rental_id, bytes.fromhex(room.books.device[2:])
        for number, event in enumerate(
            (
                QuoteRequested(quote_id="quote-1", device=device),
                OfferMade(quote_id="quote-1", device=device, round=1),
                AgreementSigned(quote_id="quote-1", device=device, by="renter"),
                RentalChanged(rental_id=rental_id, device=device, state=State.FUNDED, version=2),
                BillIssued(rental_id=rental_id, device=device, total=7),
            )
        ):
            room.say(event)
            room.until(lambda wanted=number + 1: len(room.downlink()) == wanted)
        assert [message.payload for message in room.downlink()] == [
            {"type": "quote_requested", "quote_id": "quote-1"},
            {"type": "offer_made", "quote_id": "quote-1"},
            {"type": "agreement_signed", "quote_id": "quote-1"},
            {"type": "rental_changed", "rental_id": room.books.rental_id, "state": "FUNDED"},
            {"type": "bill_ready", "rental_id": room.books.rental_id},
        ]

    @pytest.mark.parametrize("is_billed", [True, False])
    def test_a_bill_and_an_expiry_are_the_end_of_a_rental(self, room: Room, is_billed: bool) -> None:
        room.agree()
        rental_id, device = room.books.signed.rental_id, bytes.fromhex(room.books.device[2:])
        ongoing = RentalChanged(rental_id=rental_id, device=device, state=State.SETTLED, version=2)
        expired = RentalChanged(rental_id=rental_id, device=device, state=State.EXPIRED, version=3)
        billed = BillIssued(rental_id=rental_id, device=device, total=7)
        for event, finished_at in ((ongoing, None), (billed if is_billed else expired, NOW)):
            before = len(room.downlink())
            room.say(event)
            room.until(lambda before=before: len(room.downlink()) > before)
            with room.books.database.snapshot() as session:
                assert Store(session).rental(room.books.rental_id).finished_at == finished_at


class TestReadings:
    def test_come_in_pages(self, room: Room) -> None:
        room.agree()
        Clerk(room.books).take(HONEST)
        first = room.call("get_readings", room.books.rental_id, -1, 4)
        assert [wire["reading"]["seq"] for wire in first["items"]] == ["0", "1", "2", "3"]
        second = room.call("get_readings", room.books.rental_id, int(first["next"]), 4)
        assert [wire["reading"]["seq"] for wire in second["items"]] == ["4", "5"]
        assert second["next"] is None

    def test_of_an_unknown_rental_are_not_found(self, room: Room) -> None:
        with pytest.raises(NotFound):
            room.call("get_readings", "0x" + "00" * 32, -1, 4)

    def test_come_in_pages_of_sensible_size(self, room: Room) -> None:
        with pytest.raises(Invalid):
            room.call("get_readings", room.books.rental_id, -1, 0)

    def test_that_another_process_accepted_are_told_to_settlement(self, room: Room) -> None:
        room.agree()
        Clerk(room.books).take(HONEST)
        room.until(lambda: Settlement.heard)
        [event] = Settlement.heard
        assert event.readings == HONEST


class TestRefusals:
    def test_are_listed_with_their_reason(self, room: Room) -> None:
        room.agree()
        Clerk(room.books).take([HONEST[1]])
        [wire] = room.call("get_refusals", room.books.rental_id)
        refusal = Refusal.model_validate(wire)
        assert (refusal.source, refusal.seq, refusal.code) == ("metering", 1, "gap")
        assert refusal.resolved_at is None


class TestCeilings:
    def test_are_stored_told_and_carried_down(self, room: Room) -> None:
        room.agree()
        wire = room.ceiling().model_dump(mode="json")
        assert room.call("submit_ceiling", room.books.rental_id, wire) == wire
        assert room.call("get_ceilings", room.books.rental_id) == [wire]
        assert [event["ceiling"] for event in room.books.events("ceiling_accepted")] == [wire]
        message = room.downlink()[-1]
        assert (message.topic, message.payload) == (f"hireling/{room.books.device}/ceilings", wire)

    def test_that_come_late_change_nothing(self, room: Room) -> None:
        room.agree()
        high = room.ceiling(max_claimable=200).model_dump(mode="json")
        low = room.ceiling(max_claimable=100).model_dump(mode="json")
        room.call("submit_ceiling", room.books.rental_id, high)
        assert room.call("submit_ceiling", room.books.rental_id, low) == high
        assert room.call("get_ceilings", room.books.rental_id) == [high]

    def test_by_another_key_are_refused(self, room: Room) -> None:
        room.agree()
        forged = sign_ceiling(METER_KEY, DOMAIN, room.ceiling().ceiling).model_dump(mode="json")
        with pytest.raises(Refused) as refused:
            room.call("submit_ceiling", room.books.rental_id, forged)
        assert refused.value.code == "wrong_key"

    def test_of_another_rental_are_invalid(self, room: Room) -> None:
        room.agree()
        with pytest.raises(Invalid):
            room.call("submit_ceiling", "0x" + "00" * 32, room.ceiling().model_dump(mode="json"))
