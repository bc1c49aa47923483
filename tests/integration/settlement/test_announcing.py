"""Daily roots on the real chain: the contract agrees with our trees, and each day is announced once."""

from datetime import timedelta
from typing import Any

import pytest
from eth_abi.abi import decode
from sqlalchemy import select

from hireling.rental import merkle
from hireling.rental.anchoring import READINGS, ROOT_ANNOUNCED, batch_of
from hireling.rental.signing import keccak256
from hireling.rental.typed_data import to_hex
from services.chassis.database import Database
from services.chassis.tables import OUTBOX
from services.messages.events.metering import DayClosed
from services.messages.events.settlement import RootAnnounced
from services.settlement.escrow.abi import ANCHOR, calldata
from services.settlement.escrow.chain import Chain
from services.settlement.models import TransactionRow
from services.settlement.store import Store
from tests.chain import DevChain
from tests.chain_rentals import door
from tests.integration.settlement.desk import Desk
from tests.integration.settlement.market import Market

DAY = 21_915
ROOT = keccak256(b"root")
WITHOUT_TRANSACTIONS: list[object] = []
PASSES = 100


def ask(chain: DevChain, function: str, *arguments: Any) -> bytes:
    """Return what a view function of the deployed anchor answers."""
    data = to_hex(calldata(ANCHOR, function, *arguments))
    answer: str = chain.call("eth_call", {"to": to_hex(chain.deployment.anchor), "data": data}, "latest")
    return bytes.fromhex(answer[2:])


def queue(desk: Desk, *, day: int = DAY, root: bytes = ROOT) -> TransactionRow:
    """Have a day's root announced."""
    with desk.database.unit_of_work() as session:
        store = Store(session, now=desk.clock.now())
        return store.queue(desk.moves.announce(day, root, now=store.now))


def told(desk: Desk) -> list[RootAnnounced]:
    """Return what everybody was told of roots, in order."""
    query = select(OUTBOX.c.payload).where(OUTBOX.c.type == RootAnnounced.type).order_by(OUTBOX.c.id)
    with desk.database.snapshot() as session:
        return [RootAnnounced.model_validate(each) for each in session.execute(query).scalars()]


def drive_until(desk: Desk, condition: Any) -> None:
    """Drive the chain until the condition holds."""
    for _ in range(PASSES):
        desk.follow()
        desk.lane.advance()
        if condition():
            return
    raise TimeoutError(f"not after {PASSES} passes")


def logs(chain: DevChain, publisher: Chain) -> list[tuple[bytes, bytes]]:
    """Return batch and root of each announcement of a publisher, in the chain's order."""
    wanted = {
        "address": to_hex(chain.deployment.anchor),
        "topics": [to_hex(ROOT_ANNOUNCED), to_hex(publisher.relayer.rjust(32, b"\0"))],
        "fromBlock": "0x0",
        "toBlock": "latest",
    }
    found = chain.call("eth_getLogs", wanted)
    return [decode(["bytes32", "bytes32"], bytes.fromhex(log["data"][2:])) for log in found]


class TestTheContract:
    @pytest.mark.parametrize("leaves", [1, 2, 3, 5, 8, 13])
    def test_finds_every_leaf_of_our_tree_and_no_other(self, chain: DevChain, leaves: int) -> None:
        values = [keccak256(bytes([number])) for number in range(leaves)]
        root, stranger = merkle.root(values), keccak256(b"stranger")
        for index, value in enumerate(values):
            path = merkle.proof(values, index)
            assert decode(["bool"], ask(chain, "contains", root, value, path)) == (True,)
            assert decode(["bool"], ask(chain, "contains", root, stranger, path)) == (False,)

    @pytest.mark.parametrize("day", [0, 1, DAY, (1 << 32) - 1])
    def test_names_batches_as_we_do(self, chain: DevChain, day: int) -> None:
        assert ask(chain, "batchOf", READINGS.ljust(28, b"\0"), day) == batch_of(READINGS, day)


class TestAnnouncements:
    def test_are_made_once_however_often_they_are_asked_for(
        self, chain: DevChain, database: Database
    ) -> None:
        desk = Desk(database, door(chain))
        queue(desk)
        queue(desk)
        drive_until(desk, lambda: told(desk))
        desk.restart()
        queue(desk)
        for _ in range(3):
            desk.lane.advance()

        assert logs(chain, desk.chain) == [(batch_of(READINGS, DAY), ROOT)]
        (event,), (row,) = told(desk), desk.transactions()
        assert (event.batch, event.root) == (batch_of(READINGS, DAY), ROOT)
        assert (to_hex(event.transaction), event.block) == (row.hash, row.block)
        assert (event.publisher, event.contract) == (desk.chain.relayer, chain.deployment.anchor)

    def test_are_told_only_when_they_lie_deep_enough(self, chain: DevChain, database: Database) -> None:
        desk = Desk(database, door(chain), confirmations=3)
        queue(desk)
        drive_until(desk, lambda: desk.transactions()[0].status == "mined")
        assert told(desk) == []
        chain.mine(2)
        drive_until(desk, lambda: told(desk))

    def test_are_made_again_where_the_chain_went_back_and_told_again(
        self, chain: DevChain, database: Database
    ) -> None:
        desk = Desk(database, door(chain))
        chain.mine()  # the node has the state of this block, and of what earlier tests began from perhaps not
        queue(desk)
        drive_until(desk, lambda: told(desk))
        desk.follow()
        chain.call("anvil_reorg", 1, WITHOUT_TRANSACTIONS)
        assert logs(chain, desk.chain) == []

        desk.clock.advance(seconds=1)
        drive_until(desk, lambda: len(told(desk)) == 2)
        first, second = told(desk)
        assert second.transaction == first.transaction
        assert second.seen_at - first.seen_at == timedelta(seconds=1)
        assert logs(chain, desk.chain) == [(batch_of(READINGS, DAY), ROOT)]

    def test_are_made_again_after_a_while_where_the_chain_refused(
        self, chain: DevChain, database: Database
    ) -> None:
        desk = Desk(database, door(chain))
        number = queue(desk).id
        with desk.database.unit_of_work() as session:
            row = Store(session, now=desk.clock.now()).transaction(int(number or 0))
            row.status, row.reason = "refused", "mined and failed"
        desk.queue_due()
        assert desk.transactions()[0].status == "refused"
        desk.clock.advance(seconds=600)
        desk.queue_due()
        drive_until(desk, lambda: told(desk))
        assert logs(chain, desk.chain) == [(batch_of(READINGS, DAY), ROOT)]

    def test_share_the_lane_in_order_of_days(self, chain: DevChain, database: Database) -> None:
        desk = Desk(database, door(chain))
        for number in range(3):
            queue(desk, day=DAY + number)
        drive_until(desk, lambda: len(told(desk)) == 3)
        assert [batch for batch, _ in logs(chain, desk.chain)] == [
            batch_of(READINGS, DAY + number) for number in range(3)
        ]


def test_a_closed_day_is_announced_and_everybody_told(market: Market) -> None:
    market.say(DayClosed(day=DAY, root=ROOT, devices=1, readings=2))
    market.wait_until(lambda: [event for event in market.heard if isinstance(event, RootAnnounced)])
    place = market.call("anchor_place")
    (event,) = [event for event in market.heard if isinstance(event, RootAnnounced)]
    assert (event.root, to_hex(event.publisher)) == (ROOT, place["publisher"])
    assert place["contract"] == to_hex(market.chain.deployment.anchor)
