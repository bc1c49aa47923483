"""Batches of claims on a real chain that reorgs, stalls and forgets: everybody is paid once, and no more."""

import shutil
from collections.abc import Sequence
from pathlib import Path

import pytest

from hireling.rental.agreement import SignedAgreement
from hireling.rental.ceiling import sign_ceiling
from services.chassis.database import Database
from services.settlement.collecting import AGAIN_AFTER
from services.settlement.escrow.calls import Calls
from services.settlement.escrow.chain import Chain
from services.settlement.escrow.node import Call
from services.settlement.escrow.packed import Evidence
from services.settlement.moves import Moves
from tests.builders import OWNER_KEY, a_key
from tests.chain import DevChain, deployed_chain
from tests.chain_rentals import RELAYER_KEY, STRANGER_KEY, close_call, door, send
from tests.integration.settlement.desk import STUCK_AFTER, Desk, rentals_in_use

SOME = 5
WITHOUT_TRANSACTIONS: list[object] = []


class Garbling(Calls):
    """Calls that end a batch of more than two rows in the middle of a row: the escrow refuses it whole."""

    def claim_packed(self, claims: Sequence[Evidence]) -> Call:
        call = super().claim_packed(claims)
        return call if len(claims) <= 2 else Call(to=call.to, data=call.data[:4] + _shortened(call.data[4:]))


def _shortened(arguments: bytes) -> bytes:
    """Return the arguments with one byte less in their only one, ``bytes``."""
    length = int.from_bytes(arguments[32:64])
    return arguments[:32] + (length - 1).to_bytes(32) + arguments[64:]


def paid_on_chain(chain: Chain, rentals: dict[SignedAgreement, int]) -> dict[SignedAgreement, int]:
    """Return what the escrow itself says is paid of each."""
    return {signed: chain.slot(signed.rental_id).paid for signed in rentals}


class TestBatches:
    def test_pay_everybody_once_however_often_they_are_driven(
        self, chain: DevChain, database: Database
    ) -> None:
        desk = Desk(database, door(chain))
        due = rentals_in_use(desk, chain, door(chain, key=STRANGER_KEY), SOME)
        for _ in range(3):
            desk.queue_due()
        desk.until_paid(due)
        desk.drive()

        (batch,) = desk.transactions()
        assert (batch.kind, batch.status) == ("claims", "confirmed")
        assert paid_on_chain(desk.chain, due) == due
        assert desk.chain.wallet(OWNER_KEY.identity).credit == sum(desk.rental(each).to_owner for each in due)

    def test_skip_what_was_closed_behind_our_back_and_pay_the_rest(
        self, chain: DevChain, database: Database
    ) -> None:
        desk, stranger = Desk(database, door(chain)), door(chain, key=STRANGER_KEY)
        due = rentals_in_use(desk, chain, stranger, SOME)
        closed, *others = due
        desk.queue_due()
        send(stranger, close_call(stranger, closed, use=0))
        desk.until_paid({each: due[each] for each in others})

        (batch,) = desk.transactions()
        (refusal,) = desk.refusals(closed)
        assert (batch.status, refusal.code) == ("confirmed", "claim_not_open")
        assert [desk.refusals(each) for each in others] == [[]] * (SOME - 1)
        assert desk.rental(closed).paid == 0

    def test_try_a_row_that_is_skipped_again_only_later_alone_and_without_gas(
        self, chain: DevChain, database: Database
    ) -> None:
        desk = Desk(database, door(chain))
        due = rentals_in_use(desk, chain, door(chain, key=STRANGER_KEY), SOME)
        poisoned, *others = due
        ceiling = desk.ceiling(poisoned)
        forged = sign_ceiling(a_key("a thief"), poisoned.domain, ceiling)
        desk.poison(poisoned, forged)
        desk.until_paid({each: due[each] for each in others})
        for _ in range(3):
            desk.drive()
        assert [row.kind for row in desk.transactions()] == ["claims"]

        chain.travel(seconds=int(AGAIN_AFTER.total_seconds()) + 1)
        nonce = desk.chain.nonce()
        desk.drive()
        batch, alone = desk.transactions()
        assert (batch.kind, alone.kind, alone.status) == ("claims", "claim", "refused")
        assert str(alone.reason).startswith("RentalEscrow_ClaimRefused")
        assert desk.chain.nonce() == nonce

    def test_that_fail_as_a_whole_are_tried_in_halves_and_then_alone(
        self, chain: DevChain, database: Database
    ) -> None:
        desk = Desk(database, door(chain))
        desk.moves = Moves(Garbling(desk.chain.deployment))
        due = rentals_in_use(desk, chain, door(chain, key=STRANGER_KEY), SOME)
        desk.until_paid(due)

        whole, *rest = desk.transactions()
        assert whole.status == "refused"
        assert str(whole.reason).startswith("RentalEscrow_MalformedBatch")
        assert [(row.kind, row.status) for row in rest] == [("claims", "confirmed")] * 2 + [
            ("claim", "confirmed")
        ]
        assert paid_on_chain(desk.chain, due) == due

    def test_survive_a_crash_between_queueing_and_sending(self, chain: DevChain, database: Database) -> None:
        desk = Desk(database, door(chain))
        due = rentals_in_use(desk, chain, door(chain, key=STRANGER_KEY), SOME)
        desk.queue_due()
        desk.restart()
        desk.until_paid(due)

        assert len(desk.transactions()) == 1


class TestAChainThatReorgs:
    def test_has_the_same_batch_mined_again(self, chain: DevChain, database: Database) -> None:
        desk = Desk(database, door(chain))
        due = rentals_in_use(desk, chain, door(chain, key=STRANGER_KEY), SOME)
        desk.until_paid(due)
        (batch,) = desk.transactions()

        chain.call("anvil_reorg", 1, WITHOUT_TRANSACTIONS)
        assert set(paid_on_chain(desk.chain, due).values()) == {0}
        desk.follow()
        assert {desk.rental(signed).paid for signed in due} == {0}
        assert desk.transactions()[0].status == "mined", "it is looked for again"

        desk.until_paid(due)
        (again,) = desk.transactions()
        assert (again.hash, again.nonce) == (batch.hash, batch.nonce)
        assert paid_on_chain(desk.chain, due) == due

    def test_may_tell_another_outcome_of_a_row(self, chain: DevChain, database: Database) -> None:
        desk, stranger = Desk(database, door(chain)), door(chain, key=STRANGER_KEY)
        due = rentals_in_use(desk, chain, stranger, SOME)
        desk.until_paid(due)
        closed, *others = due

        chain.call("anvil_reorg", 1, WITHOUT_TRANSACTIONS)
        send(stranger, close_call(stranger, closed, use=7))
        desk.until_paid({closed: 7} | {each: due[each] for each in others})

        assert [refusal.code for refusal in desk.refusals(closed)] == ["claim_not_open"]
        assert [desk.refusals(each) for each in others] == [[]] * (SOME - 1)
        assert desk.rental(closed).money == "done"

    def test_under_what_lies_deep_enough_changes_nothing(self, chain: DevChain, database: Database) -> None:
        desk = Desk(database, door(chain), confirmations=3)
        due = rentals_in_use(desk, chain, door(chain, key=STRANGER_KEY), SOME)
        chain.mine(2)
        desk.drive()
        chain.mine(2)
        desk.until_paid(due)
        (batch,) = desk.transactions()

        chain.call("anvil_reorg", 2, WITHOUT_TRANSACTIONS)
        for _ in range(3):
            desk.drive()

        assert desk.transactions()[0].model_dump() == batch.model_dump()
        assert {signed: desk.rental(signed).paid for signed in due} == due


class TestAChainThatStalls:
    def test_gets_one_better_paid_transaction_and_no_second_batch(
        self, chain: DevChain, database: Database
    ) -> None:
        desk = Desk(database, door(chain))
        due = rentals_in_use(desk, chain, door(chain, key=STRANGER_KEY), SOME)
        with chain.holding_back():
            desk.drive()
            desk.drive()
            (batch,) = desk.transactions()
            assert len(desk.attempts(batch)) == 1
            desk.clock.advance(seconds=STUCK_AFTER.total_seconds())
            desk.drive()
            first, second = desk.attempts(batch)
            assert (first.nonce, second.max_fee > first.max_fee) == (second.nonce, True)
            chain.mine()
        desk.until_paid(due)

        (batch,) = desk.transactions()
        assert (batch.status, batch.hash) == ("confirmed", second.hash)
        assert paid_on_chain(desk.chain, due) == due


class TestAChainThatForgets:
    @pytest.mark.parametrize("restarted", [True, False], ids=["a new process", "the same process"])
    def test_is_told_again_of_what_it_dropped(
        self, chain: DevChain, database: Database, *, restarted: bool
    ) -> None:
        desk = Desk(database, door(chain))
        due = rentals_in_use(desk, chain, door(chain, key=STRANGER_KEY), SOME)
        with chain.holding_back():
            desk.drive()
            (batch,) = desk.transactions()
            chain.call("anvil_dropTransaction", batch.hash)
            chain.mine()
        assert set(paid_on_chain(desk.chain, due).values()) == {0}

        if restarted:
            desk.restart()
        else:
            desk.clock.advance(seconds=STUCK_AFTER.total_seconds())
        desk.until_paid(due)

        assert len(desk.transactions()) == 1
        assert paid_on_chain(desk.chain, due) == due

    def test_comes_back_with_an_older_state_and_pays_the_same_again(
        self, tmp_path: Path, database: Database
    ) -> None:
        with deployed_chain(tmp_path / "chain") as chain:
            desk = Desk(database, door(chain))
            due = rentals_in_use(desk, chain, door(chain, key=STRANGER_KEY), SOME)
            chain.stop()
            kept = tmp_path / "kept.json"
            shutil.copy(chain.state_file, kept)
            chain.start()
            desk.until_paid(due)
            (batch,) = desk.transactions()

            chain.kill()
            shutil.copy(kept, chain.state_file)
            chain.start()
            chain.fund(RELAYER_KEY.identity)
            assert set(paid_on_chain(desk.chain, due).values()) == {0}
            desk.restart()
            for _ in range(3):
                desk.drive()
                chain.mine()
            desk.until_paid(due)

            (again,) = desk.transactions()
            assert again.hash == batch.hash
            assert paid_on_chain(desk.chain, due) == due
