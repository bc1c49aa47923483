"""The lane of transactions on a real chain: one intent is done once, whatever crashes between."""

import shutil
from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path

import pytest

from services.chassis.database import Database, open_database
from services.chassis.migrations import migrate
from services.settlement.escrow.chain import Chain
from services.settlement.escrow.node import Call, ChainUnreachable, Receipt
from services.settlement.lane import Lane
from services.settlement.lane_rows import id_of
from services.settlement.models import AttemptRow, TransactionRow
from services.settlement.moves import Moves
from services.settlement.store import Store
from tests.builders import a_key
from tests.chain import DevChain, deployed_chain
from tests.chain_rentals import RELAYER_KEY, agree, door, mined, permit, send
from tests.fakes.clock import FixedClock

SOMEONE = a_key("someone").identity
AMOUNT = 7_000_000
STUCK_AFTER = timedelta(seconds=30)


class CutOff(Chain):
    """A door whose line breaks at every broadcast: before the transaction leaves, or after it arrived."""

    def __init__(self, real: Chain, *, arrives: bool) -> None:
        super().__init__(node=real._node, deployment=real.deployment, relayer=real._relayer)
        self._arrives = arrives

    def broadcast(self, raw: bytes) -> None:
        if self._arrives:
            super().broadcast(raw)
        raise ChainUnreachable("the line broke")


class GoesBack(Chain):
    """A door to a chain that goes back once, just after it was asked how many transactions are mined."""

    def __init__(self, real: Chain, goes_back: Callable[[], object]) -> None:
        super().__init__(node=real._node, deployment=real.deployment, relayer=real._relayer)
        self._goes_back = [goes_back]

    def nonce(self, *, at: int | None = None) -> int:
        counted = super().nonce(at=at)
        while self._goes_back:
            self._goes_back.pop()()
        return counted


class Hasty(Chain):
    """A door to a node that counts a nonce before it has the receipt: the first question finds none."""

    def __init__(self, real: Chain) -> None:
        super().__init__(node=real._node, deployment=real.deployment, relayer=real._relayer)
        self.asked = 0

    def receipt(self, tx_hash: bytes) -> Receipt | None:
        self.asked += 1
        return None if self.asked == 1 else super().receipt(tx_hash)


class Limited(Chain):
    """A door to a node that leaves one question for an estimate without an answer."""

    def __init__(self, real: Chain) -> None:
        super().__init__(node=real._node, deployment=real.deployment, relayer=real._relayer)
        self._refuses = [True]

    def gas(self, call: Call) -> int:
        while self._refuses:
            self._refuses.pop()
            raise ChainUnreachable("no answer to eth_estimateGas: HTTP 429")
        return super().gas(call)


class Books:
    """Settlement's rows, and a lane for each life of its process."""

    def __init__(self, database: Database) -> None:
        self.database = database
        self.clock = FixedClock()

    def lane(self, chain: Chain, *, confirmations: int = 1) -> Lane:
        """Return a lane as a process has it that has just started."""
        return Lane(
            database=self.database,
            chain=chain,
            now=self.clock.now,
            confirmations=confirmations,
            stuck_after=STUCK_AFTER,
        )

    def queue(self, chain: Chain, *, number: int = 0, amount: int = AMOUNT) -> None:
        """Queue the intent to mint for someone, once for each number."""
        self.queue_row(Moves(chain.calls).faucet(SOMEONE, amount, number=number, now=self.clock.now()))

    def queue_row(self, row: TransactionRow) -> None:
        self.database.work(lambda session: Store(session, now=self.clock.now()).queue(row))

    def rows(self) -> list[TransactionRow]:
        """Return all intents, oldest first."""
        with self.database.snapshot() as session:
            store = Store(session, now=self.clock.now())
            return [store.transaction(number) for number in range(1, store.count_transactions("") + 1)]

    def row(self) -> TransactionRow:
        """Return the only intent."""
        (row,) = self.rows()
        return row

    def attempts(self) -> list[AttemptRow]:
        """Return the signed transactions of the only intent."""
        with self.database.snapshot() as session:
            return (
                Store(session, now=self.clock.now()).attempts([id_of(self.row())]).get(id_of(self.row()), [])
            )


@pytest.fixture
def books(tmp_path: Path) -> Iterator[Books]:
    """Settlement's database, empty."""
    url = f"sqlite:///{tmp_path}/settlement.db"
    migrate("settlement", url=url)
    database = open_database(url)
    yield Books(database)
    database.close()


def received(chain: Chain) -> int:
    """Return what someone has got so far."""
    return chain.wallet(SOMEONE).balance


def until(lane: Lane, condition: Callable[[], bool]) -> None:
    """Drive the lane until the condition holds."""
    for _ in range(500):
        lane.advance()
        if condition():
            return
    raise TimeoutError("not after 500 passes of the lane")


class TestLane:
    def test_sends_an_intent_once_however_often_it_is_driven_and_queued(
        self, chain: DevChain, books: Books
    ) -> None:
        relayer = door(chain)
        lane = books.lane(relayer)
        books.queue(relayer)
        until(lane, lambda: books.row().status == "confirmed")
        books.queue(relayer)
        for _ in range(3):
            lane.advance()

        assert received(relayer) == AMOUNT
        assert len(books.attempts()) == 1
        assert books.row().gas_used

    def test_gives_each_intent_the_next_nonce(self, chain: DevChain, books: Books) -> None:
        relayer = door(chain)
        begin = relayer.nonce()
        for number in range(3):
            books.queue(relayer, number=number)
        lane = books.lane(relayer)
        until(lane, lambda: all(row.status == "confirmed" for row in books.rows()))

        assert [row.nonce for row in books.rows()] == [begin, begin + 1, begin + 2]
        assert received(relayer) == 3 * AMOUNT

    def test_refuses_what_the_contract_refuses_with_its_reason_and_sends_nothing(
        self, chain: DevChain, books: Books
    ) -> None:
        relayer = door(chain)
        signed = agree(chain)
        given = permit(chain, relayer, value=signed.agreement.all_in)
        chain.travel_to(signed.agreement.rules.fund_by + 1)
        begin = relayer.nonce()
        books.queue_row(Moves(relayer.calls).open(signed, given, now=books.clock.now()))

        books.lane(relayer).advance()

        assert books.row().status == "refused"
        assert str(books.row().reason).startswith("RentalEscrow_Expired(")
        assert books.attempts() == []
        assert relayer.nonce() == begin

    def test_sends_what_it_can_where_one_estimate_is_not_answered(
        self, chain: DevChain, books: Books
    ) -> None:
        relayer = Limited(door(chain))
        begin = relayer.nonce()
        for number in range(3):
            books.queue(relayer, number=number)
        lane = books.lane(relayer)
        with pytest.raises(ChainUnreachable):
            lane.advance()
        assert [row.status for row in books.rows()] == ["queued", "sent", "sent"]

        until(lane, lambda: all(row.status == "confirmed" for row in books.rows()))
        assert [row.nonce for row in books.rows()] == [begin + 2, begin, begin + 1]
        assert received(relayer) == 3 * AMOUNT

    def test_does_nothing_again_where_the_node_counts_a_nonce_before_it_has_the_receipt(
        self, chain: DevChain, books: Books
    ) -> None:
        relayer = Hasty(door(chain))
        lane = books.lane(relayer, confirmations=2)
        books.queue(relayer)
        until(lane, lambda: relayer.asked == 1)
        assert books.row().status == "sent"

        chain.mine()
        until(lane, lambda: books.row().status == "confirmed")
        assert len(books.attempts()) == 1
        assert received(relayer) == AMOUNT

    def test_counts_only_what_lies_deep_enough(self, chain: DevChain, books: Books) -> None:
        relayer = door(chain)
        books.queue(relayer)
        lane = books.lane(relayer, confirmations=3)
        until(lane, lambda: books.row().status == "mined")
        chain.mine()
        lane.advance()
        assert books.row().status == "mined"

        chain.mine()
        lane.advance()
        assert books.row().status == "confirmed"


class TestLaneAfterACrash:
    def test_broadcasts_the_very_bytes_that_were_signed_before(self, chain: DevChain, books: Books) -> None:
        relayer = door(chain)
        books.queue(relayer)
        with pytest.raises(ChainUnreachable):
            books.lane(CutOff(relayer, arrives=False)).advance()
        (signed,) = books.attempts()
        assert (books.row().status, received(relayer)) == ("unknown", 0)

        until(books.lane(relayer), lambda: books.row().status == "confirmed")

        assert books.row().hash == signed.hash
        assert received(relayer) == AMOUNT

    def test_finds_what_arrived_although_nobody_said_so(self, chain: DevChain, books: Books) -> None:
        relayer = door(chain)
        books.queue(relayer)
        with pytest.raises(ChainUnreachable):
            books.lane(CutOff(relayer, arrives=True)).advance()
        assert books.row().status == "unknown"

        until(books.lane(relayer), lambda: books.row().status == "confirmed")

        assert len(books.attempts()) == 1
        assert received(relayer) == AMOUNT

    def test_begins_anew_only_where_its_nonce_went_to_another_transaction(
        self, chain: DevChain, books: Books
    ) -> None:
        relayer = door(chain)
        books.queue(relayer)
        with pytest.raises(ChainUnreachable):
            books.lane(CutOff(relayer, arrives=False)).advance()
        taken = books.row().nonce
        send(relayer, relayer.calls.mint(RELAYER_KEY.identity, 1))

        until(books.lane(relayer), lambda: books.row().status == "confirmed")

        assert taken is not None
        assert books.row().nonce == taken + 1
        assert received(relayer) == AMOUNT

    @pytest.mark.parametrize("deep", [1, 4], ids=["a little", "behind what was believed"])
    def test_sends_the_very_bytes_again_where_the_chain_goes_back_while_it_is_asked(
        self, chain: DevChain, books: Books, deep: int
    ) -> None:
        relayer = door(chain)
        # The node keeps the states of some newest blocks: this one it has, what earlier tests began from
        # perhaps no more.
        chain.mine()
        lane = books.lane(relayer, confirmations=2)
        for number in range(4):
            books.queue(relayer, number=number)
            until(lane, lambda: all(row.status in {"mined", "confirmed"} for row in books.rows()))
        signed = [(row.nonce, row.hash) for row in books.rows()]

        going_back = GoesBack(relayer, lambda: chain.call("anvil_reorg", deep, []))
        lane = books.lane(going_back, confirmations=2)
        lane.advance()
        assert received(relayer) < 4 * AMOUNT
        until(lane, lambda: received(relayer) == 4 * AMOUNT)
        chain.mine()
        lane.advance()

        # Those that the first look had taken for confirmed are the watch's to doubt.
        assert [(row.nonce, row.hash) for row in books.rows()] == signed
        assert received(relayer) == 4 * AMOUNT

    def test_pays_more_for_a_stuck_transaction_under_the_same_nonce(
        self, chain: DevChain, books: Books
    ) -> None:
        relayer = door(chain)
        lane = books.lane(relayer)
        books.queue(relayer)
        with chain.holding_back():
            lane.advance()
            lane.advance()
            assert len(books.attempts()) == 1
            books.clock.advance(seconds=STUCK_AFTER.total_seconds())
            lane.advance()
            first, second = books.attempts()
            assert first.nonce == second.nonce
            assert second.max_fee >= first.max_fee * 110 // 100
            chain.mine()
        until(lane, lambda: books.row().status == "confirmed")

        assert books.row().hash == second.hash
        assert received(relayer) == AMOUNT


class TestLaneAfterTheChainWasKilled:
    def test_does_everything_again_that_the_chain_forgot_and_nothing_twice(
        self, tmp_path: Path, books: Books
    ) -> None:
        with deployed_chain(tmp_path / "chain") as chain:
            relayer = door(chain)
            lane = books.lane(relayer)
            books.queue(relayer, number=0)
            until(lane, lambda: books.rows()[0].status == "confirmed")
            chain.stop()
            kept = tmp_path / "kept.json"
            shutil.copy(chain.state_file, kept)

            chain.start()
            books.queue(relayer, number=1)
            books.queue(relayer, number=2)
            until(lane, lambda: books.rows()[2].status == "confirmed")
            hashes = [row.hash for row in books.rows()]
            chain.kill()
            shutil.copy(kept, chain.state_file)
            chain.start()
            assert received(relayer) == AMOUNT

            lane = books.lane(relayer)
            until(lane, lambda: received(relayer) == 3 * AMOUNT)
            until(lane, lambda: all(row.status == "confirmed" for row in books.rows()))

            assert [row.hash for row in books.rows()] == hashes
            assert received(relayer) == 3 * AMOUNT

    def test_goes_on_when_the_chain_is_back(self, tmp_path: Path, books: Books) -> None:
        with deployed_chain(tmp_path / "chain", block_seconds=1) as chain:
            relayer = door(chain)
            lane = books.lane(relayer)
            books.queue(relayer)
            lane.advance()
            chain.kill()
            with pytest.raises(ChainUnreachable):
                lane.advance()
            chain.start()
            chain.fund(RELAYER_KEY.identity)

            mined_hash = bytes.fromhex(str(books.row().hash)[2:])
            books.lane(relayer).advance()
            mined(relayer, mined_hash)
            until(lane, lambda: books.row().status == "confirmed")
            assert received(relayer) == AMOUNT


class TestSimulation:
    def test_asks_and_changes_nothing(self, chain: DevChain) -> None:
        relayer = door(chain)
        begin = (relayer.nonce(), chain.height())
        relayer.simulate(Call(to=relayer.calls.mint(SOMEONE, 1).to, data=relayer.calls.mint(SOMEONE, 1).data))

        assert (relayer.nonce(), chain.height()) == begin
        assert received(relayer) == 0
