"""However readings and ceilings are delivered (late, twice, in any order), settlement counts the same."""

from collections.abc import Callable
from datetime import UTC, datetime

from hypothesis import given, settings
from hypothesis import strategies as st

from hireling.rental.agreement import SignedAgreement
from hireling.rental.states import State
from hireling.rental.typed_data import to_hex
from services.chassis.database import Database, open_database
from services.chassis.tables import CHASSIS_METADATA
from services.messages.errors import Unavailable
from services.messages.events.negotiation import Agreed
from services.settlement.escrow.deployment import Deployment
from services.settlement.intake import take_agreement, take_ceiling, take_readings
from services.settlement.models import RentalRow, SettlementTable
from services.settlement.store import Store
from tests.builders import DOMAIN, NOW, TOKEN, a_reading_chain, signed_agreement
from tests.chain_rentals import acknowledge

SIGNED: SignedAgreement = signed_agreement()
READINGS = a_reading_chain(12, signed=SIGNED)
DEPLOYMENT = Deployment(
    chain_id=DOMAIN.chain_id, escrow=DOMAIN.escrow, registry=bytes(20), token=TOKEN, anchor=bytes(20), block=0
)
Delivery = Callable[[Store], None]


def agreement(store: Store) -> None:
    """Deliver the agreement."""
    agreed = Agreed(quote_id="quote-1", rental_id=SIGNED.rental_id, signed=SIGNED)
    take_agreement(store, agreed, DEPLOYMENT)


def readings(first: int, last: int) -> Delivery:
    """Return the delivery of a run of readings."""
    return lambda store: take_readings(store, SIGNED.rental_id, READINGS[first : last + 1])


def ceiling(number: int) -> Delivery:
    """Return the delivery of the ceiling that acknowledges a reading."""
    return lambda store: take_ceiling(store, SIGNED.rental_id, acknowledge(SIGNED, READINGS[number]))


ONCE: list[Delivery] = [
    agreement,
    readings(0, 0),
    readings(1, 4),
    readings(5, 6),
    readings(7, 11),
    ceiling(0),
    ceiling(4),
    ceiling(9),
]


class TestDelivery:
    @settings(max_examples=25, deadline=None)
    @given(st.permutations(ONCE), st.lists(st.sampled_from(ONCE), max_size=6))
    def test_in_any_order_and_any_number_of_times_gives_the_same_rental(
        self, order: list[Delivery], repeated: list[Delivery]
    ) -> None:
        database = empty_database()
        deliver(database, [*order, *repeated])

        row = the_rental(database)
        assert (row.seq, row.amount_due) == (11, READINGS[11].reading.amount_due)
        assert row.ceiling == acknowledge(SIGNED, READINGS[9]).model_dump(mode="json")
        assert row.state == State.AGREED
        database.close()


def deliver(database: Database, deliveries: list[Delivery]) -> None:
    """Deliver everything, again and again what could not be taken yet, as the inbox does."""
    waiting = deliveries
    while waiting:
        later = [each for each in waiting if not taken(database, each)]
        assert len(later) < len(waiting), "nothing more can be delivered"
        waiting = later


def taken(database: Database, delivery: Delivery) -> bool:
    """Return whether the delivery could be taken."""
    try:
        database.work(lambda session: delivery(Store(session, now=NOW)))
    except Unavailable:
        return False
    return True


def the_rental(database: Database) -> RentalRow:
    """Return the rental."""
    with database.snapshot() as session:
        store = Store(session, now=datetime.now(UTC))
        return store.rental_as_it_is(to_hex(SIGNED.rental_id))


def empty_database() -> Database:
    """Return settlement's tables in memory."""
    database = open_database("sqlite://")
    SettlementTable.metadata.create_all(database.engine)
    CHASSIS_METADATA.create_all(database.engine)
    return database
