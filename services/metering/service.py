"""The metering service's entrypoints: decode, decide, store, answer."""

from collections.abc import Sequence
from datetime import timedelta
from typing import Any

from sqlmodel import Session

from hireling.rental.access import SignedBrokerAccess
from hireling.rental.ceiling import SignedCeiling
from hireling.rental.errors import CeilingRefused
from hireling.rental.states import TERMINAL, WITHOUT_BILL
from hireling.rental.typed_data import to_hex
from services.chassis.concurrency import let_others
from services.chassis.database import Database
from services.chassis.entrypoints import on_event, rpc, timer
from services.chassis.gathering import on_events
from services.chassis.providers import Lasting
from services.chassis.service import Service
from services.messages.errors import Invalid, NotFound, Refused
from services.messages.events.negotiation import Agreed, AgreementSigned, OfferMade, QuoteRequested
from services.messages.events.settlement import BillIssued, MeterChanged, RentalChanged, RootAnnounced
from services.messages.metering import RefusalQuery, SeriesQuery
from services.messages.page import Page
from services.metering import people
from services.metering.access import new_challenge
from services.metering.applying import Applicants
from services.metering.ceilings import check_ceiling
from services.metering.charting import roll_up, series
from services.metering.closing import close_days
from services.metering.day_store import DayStore
from services.metering.downlink import Message, notice, topic_of
from services.metering.flag_store import FlagStore
from services.metering.granting import end_seats, forget_bargainers, let_in, note_meter
from services.metering.judging import judge_readings, reading_reaching, watch_row
from services.metering.models import Rental
from services.metering.proving import days_of, keep_announcement, proof_of
from services.metering.quarantine import page_of_refusals, refusal_of
from services.metering.settings import MeteringSettings
from services.metering.store import Store
from services.metering.taking import rental_row, take_ceiling, terms_of
from services.metering.upkeep import check_kept, forget, let_go, make_partitions
from services.metering.usage_store import UsageStore

LARGEST_PAGE = 1_000
# A chart has what is newer from the readings, so that it only costs time to be late.
ROLL_UP_SECONDS = 5.0


class Metering(Service):
    """Answers what was measured, takes ceilings, learns of rentals, closes days, and has devices told."""

    name = "metering"
    personal = people.TABLES

    settings: MeteringSettings = Lasting(MeteringSettings)

    @rpc
    def get_readings(self, rental_id: str, after: int, limit: int) -> dict[str, Any]:
        """Return a page of accepted readings with a number above `after` (-1 for all), ascending.

        The cursor is the next `after`.
        """
        if not 1 <= limit <= LARGEST_PAGE:
            raise Invalid(
                "limit_out_of_range", f"a page has 1 to {LARGEST_PAGE} readings, not {limit}", limit=limit
            )
        with self.database.snapshot() as session:
            store = Store(session)
            rental = _known(store.rentals([rental_id]), rental_id)
            check_kept(rental, after + 1)
            arrived = (rental.oldest_at, rental.newest_at)
            items = store.readings(rental_id, after=after, limit=limit + 1, arrived=arrived)
        more = items[limit - 1]["reading"]["seq"] if len(items) > limit else None
        return Page[dict[str, Any]](items=tuple(items[:limit]), next=more).model_dump(mode="json")

    @rpc
    def get_refusals(self, rental_id: str) -> list[dict[str, Any]]:
        """Return what was refused for a rental and why, newest last; also for a rental nobody agreed on."""
        with self.database.snapshot() as session:
            rows = Store(session).refusals(rental_id)
        return [refusal_of(row).model_dump(mode="json") for row in rows]

    @rpc
    def list_refusals(self, query: dict[str, Any]) -> dict[str, Any]:
        """Return a page of what was refused, of one device or of all, newest first, by a RefusalQuery."""
        asked = RefusalQuery.model_validate(query)
        with self.database.snapshot() as session:
            return page_of_refusals(Store(session), asked)

    @rpc
    def get_ceilings(self, rental_id: str) -> list[dict[str, Any]]:
        """Return a rental's ceilings, ascending; the last one counts."""
        with self.database.snapshot() as session:
            store = Store(session)
            _known(store.rentals([rental_id]), rental_id)
            return store.ceilings(rental_id)

    @rpc
    def submit_ceiling(self, rental_id: str, signed_ceiling: dict[str, Any]) -> dict[str, Any]:
        """Take a ceiling and have it carried down to the device; return the one that counts now.

        An old one changes nothing.
        """
        signed = SignedCeiling.model_validate(signed_ceiling)
        if to_hex(signed.ceiling.rental_id) != rental_id:
            raise Invalid("other_rental", f"the ceiling is of rental {to_hex(signed.ceiling.rental_id)}")
        now = self.clock.now()
        # The rental's lock is the whole story. Ingest may have held it, with the same ceiling from
        # the broker: what it committed must be seen once we have the lock, or both would be given one number.
        with self.database.queue_work() as session:
            store = Store(session)
            rental = _known(store.lock_rentals([rental_id]), rental_id)
            try:
                check_ceiling(terms_of(rental), signed)
                counting = take_ceiling(store, signed, rental_id=rental_id, now=now)
            except CeilingRefused as error:
                raise Refused(error.code, error.detail, rental_id=rental_id) from error
            wire = counting.model_dump(mode="json")
            store.add_downlink(topic_of(rental.device, "ceilings"), wire, now=now)
        return wire

    @rpc
    def get_proof(self, rental_id: str, seq: int) -> dict[str, Any]:
        """Return what shows a reading to be under its day's root."""
        with self.database.snapshot() as session:
            _known(Store(session).rentals([rental_id]), rental_id)
            return proof_of(DayStore(session), rental_id, seq, grace=self._grace)

    @rpc
    def get_series(self, rental_id: str, query: dict[str, Any]) -> dict[str, Any]:
        """Return a page of a rental's use over time, by a SeriesQuery."""
        asked = SeriesQuery.model_validate(query)
        with self.database.snapshot() as session:
            store = UsageStore(session)
            return series(store, _known(store.rentals([rental_id]), rental_id), asked)

    @rpc
    def get_days(self, device: str, cursor: str | None, limit: int) -> dict[str, Any]:
        """Return a page of a device's daily roots, newest first; none for a device that never measured."""
        with self.database.snapshot() as session:
            return days_of(DayStore(session), device, cursor, limit)

    @rpc
    def broker_challenge(self, broker: str) -> dict[str, Any]:
        """Return what a wish to enter the broker of this address must carry."""
        return new_challenge(broker, now=self.clock.now()).model_dump(mode="json")

    @rpc
    def enter_broker(self, signed_wish: dict[str, Any], broker: str) -> dict[str, Any]:
        """Let a device in by its meter's signature, a renter or its agent by the session key's.

        The name that it had before ends.

        The same wish again is refused, for what it was answered is kept nowhere.
        """
        wish = SignedBrokerAccess.model_validate(signed_wish)
        now = self.clock.now()
        applicant = Applicants(self.database, self._ask).check(wish, broker=broker, now=now)
        with self.database.queue_work() as session:
            view = let_in(session, wish, applicant, now=now, settings=self.settings)
        return view.model_dump(mode="json")

    def _ask(self, service: str, method: str, *arguments: Any) -> Any:
        return self.remote.call(service, method, *arguments, timeout=self.settings.call_seconds)

    @on_event(MeterChanged)
    def on_meter_changed(self, session: Session, event: MeterChanged) -> None:
        """Let nobody in any more by a key that the device's owner replaced or revoked."""
        note_meter(session, event)

    @rpc
    def get_reading_reaching(self, rental_id: str, amount: str) -> dict[str, Any] | None:
        """Return the first accepted reading that asks at least so much, None where none does yet."""
        with self.database.snapshot() as session:
            store = Store(session)
            rental = _known(store.rentals([rental_id]), rental_id)
            return reading_reaching(store, rental, int(amount))

    @timer(interval=2.0)
    def judge_readings(self) -> None:
        """Flag what looks wrong among the readings that have come."""
        judge_readings(
            self.database,
            self.settings.limits,
            now=self.clock.now(),
            patience=timedelta(seconds=self.settings.judge_patience_seconds),
            pause=let_others,
        )

    @timer(interval=1.0)
    def close_days(self) -> None:
        """Close the days that are over, each once whoever is first, and tell of their roots."""
        close_days(self.database, now=self.clock.now(), grace=self._grace, pause=let_others)

    @timer(interval=ROLL_UP_SECONDS)
    def roll_up(self) -> None:
        """Put the readings that are new into the minutes and hours that charts are made of."""
        roll_up(self.database, pause=let_others)

    @timer(interval=60.0)
    def make_room(self) -> None:
        """Make the partitions of the days to come, on PostgreSQL."""
        make_partitions(self.database, now=self.clock.now())

    @timer(interval=600.0)
    def let_go(self) -> None:
        """Delete what is no longer kept: readings of days long over, old refusals, what was told."""
        settings, now = self.settings, self.clock.now()
        keep = None if settings.keep_days is None else timedelta(days=settings.keep_days)
        let_go(self.database, now=now, keep=keep, pause=let_others)
        forget_bargainers(self.database, now=now)
        refusals = timedelta(days=settings.refusals_keep_days)
        forget(self.database, now=now, refusals=refusals, pause=let_others)

    @on_event(RootAnnounced)
    def on_root_announced(self, session: Session, event: RootAnnounced) -> None:
        """Keep where a day's root is on the chain."""
        keep_announcement(DayStore(session), event)

    @on_event(Agreed)
    def on_agreed(self, session: Session, event: Agreed) -> None:
        """Know the rental from now on: its meter, its session key, its counters' caps."""
        store = Store(session)
        now = self.clock.now()
        rental = rental_row(event.signed, now=now)
        if rental.rental_id not in store.rentals([rental.rental_id]):
            store.add_rental(rental)
            FlagStore(session).begin(watch_row(event.signed, now=now))
        device = event.signed.agreement.rules.detail.device
        names = {"quote_id": event.quote_id, "rental_id": rental.rental_id}
        store.add_downlink(*notice(device, "agreed", **names), now=now)

    @on_events(QuoteRequested, work=Database.work_on_locked)
    def on_quote_requested(self, session: Session, events: Sequence[QuoteRequested]) -> None:
        """Wake the owner's agent."""
        self._wake(session, "quote_requested", events)

    @on_events(OfferMade, work=Database.work_on_locked)
    def on_offer_made(self, session: Session, events: Sequence[OfferMade]) -> None:
        """Wake the owner's agent."""
        self._wake(session, "offer_made", events)

    @on_events(AgreementSigned, work=Database.work_on_locked)
    def on_agreement_signed(self, session: Session, events: Sequence[AgreementSigned]) -> None:
        """Wake the owner's agent: it may be its turn to sign."""
        self._wake(session, "agreement_signed", events)

    @on_events(RentalChanged, work=Database.work_on_locked)
    def on_rental_changed(self, session: Session, events: Sequence[RentalChanged]) -> None:
        """Tell devices to look at their rentals; one that is over needs no place at the broker."""
        over = {to_hex(event.rental_id): to_hex(event.device) for event in events if event.state in TERMINAL}
        if over:
            end_seats(session, over)
        # Any other end is an end with a bill, which follows once no money can move any more.
        unbilled = [to_hex(event.rental_id) for event in events if event.state in WITHOUT_BILL]
        notices = [
            notice(event.device, "rental_changed", rental_id=to_hex(event.rental_id), state=event.state)
            for event in events
        ]
        self._tell(session, notices, over=unbilled)

    @on_events(BillIssued, work=Database.work_on_locked)
    def on_bill_issued(self, session: Session, events: Sequence[BillIssued]) -> None:
        """Tell devices that there are bills to countersign."""
        billed = [to_hex(event.rental_id) for event in events]
        notices = [notice(event.device, "bill_ready", rental_id=to_hex(event.rental_id)) for event in events]
        self._tell(session, notices, over=billed)

    def _tell(self, session: Session, notices: Sequence[Message], *, over: Sequence[str] = ()) -> None:
        store, now = Store(session), self.clock.now()
        store.add_downlinks(notices, now=now)
        if over:
            # In the order in which ingest takes them; nothing of them is judged any more.
            store.lock_series(over)
            store.finish(over, now=now)
            FlagStore(session).end(over)

    def _wake(
        self, session: Session, kind: str, events: Sequence[QuoteRequested | OfferMade | AgreementSigned]
    ) -> None:
        notices = [notice(event.device, kind, quote_id=event.quote_id) for event in events]
        self._tell(session, notices)

    @property
    def _grace(self) -> timedelta:
        return timedelta(seconds=self.settings.day_grace_seconds)


def _known(rentals: dict[str, Rental], rental_id: str) -> Rental:
    if rental_id not in rentals:
        raise NotFound("rental_not_found", f"no rental {rental_id}", rental_id=rental_id)
    return rentals[rental_id]
