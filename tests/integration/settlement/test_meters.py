"""A device's key that its owner replaces or revokes on the chain, and what is told of it."""

from sqlalchemy import select

from hireling.rental.terms import device_id
from hireling.rental.typed_data import to_hex
from services.chassis.database import Database
from services.chassis.tables import OUTBOX
from services.messages.events.listing import DeviceAdmitted
from services.settlement.escrow.chain import Chain
from tests.builders import METER_KEY, OWNER_KEY, a_key
from tests.chain import DevChain
from tests.chain_rentals import FOREVER, door, possession, revoke_meter, rotate_meter, send
from tests.integration.settlement.test_watch import Books

DEVICE = device_id(METER_KEY.identity)


def register(owner: Chain) -> None:
    """Register the device."""
    admitted = DeviceAdmitted(
        device=DEVICE,
        owner=OWNER_KEY.identity,
        meter=METER_KEY.identity,
        metadata_hash=bytes(32),
        valid_until=FOREVER,
        possession=possession(owner, METER_KEY, owner=OWNER_KEY.identity, device=DEVICE),
    )
    send(owner, owner.calls.register(admitted))


def told(database: Database) -> list[tuple[str, str]]:
    """Return the device and the key of each change that was told, in order."""
    query = select(OUTBOX.c.payload).where(OUTBOX.c.type == "meter_changed").order_by(OUTBOX.c.id)
    with database.snapshot() as session:
        return [(event["device"], event["meter"]) for event in session.execute(query).scalars()]


class TestAMeter:
    def test_that_is_replaced_and_then_revoked_is_told_of_in_order(
        self, chain: DevChain, database: Database
    ) -> None:
        owner, new = door(chain, key=OWNER_KEY), a_key("new meter")
        books = Books(database, owner)
        register(owner)
        books.follow()
        assert told(database) == []

        rotate_meter(owner, DEVICE, new, owner_key=OWNER_KEY)
        revoke_meter(owner, DEVICE)
        books.follow()
        assert told(database) == [(to_hex(DEVICE), to_hex(new.identity)), (to_hex(DEVICE), "0x")]

    def test_is_told_of_when_it_lies_deep_enough(self, chain: DevChain, database: Database) -> None:
        owner = door(chain, key=OWNER_KEY)
        books = Books(database, owner, confirmations=3)
        register(owner)
        revoke_meter(owner, DEVICE)
        books.follow()
        assert told(database) == []
        chain.mine()
        chain.mine()
        books.follow()
        assert told(database) == [(to_hex(DEVICE), "0x")]
