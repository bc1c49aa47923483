"""A device's key that its owner replaces or revokes on the chain, and what is told of it."""

from typing import Any

from sqlalchemy import select

from hireling.rental.close import Possession
from hireling.rental.signing import Signer, sign
from hireling.rental.terms import device_id
from hireling.rental.typed_data import Domain, to_hex
from services.chassis.database import Database
from services.chassis.tables import OUTBOX
from services.messages.events.listing import DeviceAdmitted
from services.settlement.escrow.abi import REGISTRY
from services.settlement.escrow.chain import Chain
from services.settlement.escrow.node import Call
from tests.builders import METER_KEY, OWNER_KEY, a_key
from tests.chain import DevChain
from tests.chain_rentals import FOREVER, door, send
from tests.integration.settlement.test_watch import Books

DEVICE = device_id(METER_KEY.identity)


def possession(chain: DevChain, meter: Signer) -> bytes:
    """Return a key's proof that it is to be this device's."""
    registry = chain.deployment.registry
    proof = Possession(
        owner=OWNER_KEY.identity,
        registry=registry,
        device=DEVICE,
        metadata=bytes(32),
        valid_until=FOREVER,
    )
    return sign(meter, Domain(chain_id=chain.deployment.chain_id, escrow=registry), proof)


def registry_call(owner: Chain, function: str, *arguments: Any) -> Call:
    """Return a call of the device registry."""
    return owner.calls._call(owner.deployment.registry, REGISTRY, function, *arguments)


def register(chain: DevChain, owner: Chain) -> None:
    """Register the device."""
    admitted = DeviceAdmitted(
        device=DEVICE,
        owner=OWNER_KEY.identity,
        meter=METER_KEY.identity,
        metadata_hash=bytes(32),
        valid_until=FOREVER,
        possession=possession(chain, METER_KEY),
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
        register(chain, owner)
        books.follow()
        assert told(database) == []

        device = int.from_bytes(DEVICE)
        proof = possession(chain, new)
        send(owner, registry_call(owner, "rotateMeter", device, new.identity, FOREVER, proof))
        send(owner, registry_call(owner, "revokeMeter", device))
        books.follow()
        assert told(database) == [(to_hex(DEVICE), to_hex(new.identity)), (to_hex(DEVICE), "0x")]

    def test_is_told_of_when_it_lies_deep_enough(self, chain: DevChain, database: Database) -> None:
        owner = door(chain, key=OWNER_KEY)
        books = Books(database, owner, confirmations=3)
        register(chain, owner)
        send(owner, registry_call(owner, "revokeMeter", int.from_bytes(DEVICE)))
        books.follow()
        assert told(database) == []
        chain.mine()
        chain.mine()
        books.follow()
        assert told(database) == [(to_hex(DEVICE), "0x")]
