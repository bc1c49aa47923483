"""Which claim is due, and when."""

from datetime import datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st

from hireling.rental.ceiling import next_ceiling
from hireling.rental.escrow_math import Slot, Status
from hireling.rental.states import State
from services.settlement.claims import Batching, Due, Rhythm, batches, claimable, due_since
from tests.builders import NOW, a_reading_chain, an_agreement

AGREEMENT = an_agreement()
READINGS = [signed.reading for signed in a_reading_chain(30)]
FRESH = Slot(0, 0, AGREEMENT.claim_by, 10_000, Status.OPEN)
RHYTHM = Rhythm(every=timedelta(minutes=5), patience=timedelta(minutes=1), margin=timedelta(minutes=30))
FAR = int(NOW.timestamp()) + 86_400


class TestClaimable:
    def test_is_what_both_keys_allow(self) -> None:
        now = int(NOW.timestamp()) + 60
        after = claimable(AGREEMENT, FRESH, READINGS[20], next_ceiling(AGREEMENT, READINGS[10]), now=now)
        assert after is not None
        assert after.paid == READINGS[10].amount_due
        assert after.paid + after.tail == READINGS[20].amount_due

    def test_is_nothing_where_the_same_pair_was_claimed(self) -> None:
        now = int(NOW.timestamp()) + 60
        pair = READINGS[20], next_ceiling(AGREEMENT, READINGS[10])
        claimed = claimable(AGREEMENT, FRESH, *pair, now=now)
        assert claimed is not None
        assert claimable(AGREEMENT, claimed, *pair, now=now) is None

    def test_is_nothing_once_claims_are_over(self) -> None:
        ceiling = next_ceiling(AGREEMENT, READINGS[10])
        assert claimable(AGREEMENT, FRESH, READINGS[10], ceiling, now=AGREEMENT.claim_by + 1) is None


def since(state: State, *, claimed_at: datetime | None, claim_by: int = FAR) -> datetime:
    """Return from when on a rental that entered its state at NOW is due."""
    return due_since(RHYTHM, state=state, entered_at=NOW, claimed_at=claimed_at, claim_by=claim_by)


class TestDueSince:
    def test_a_running_rental_is_claimed_once_a_block(self) -> None:
        claimed_at = NOW + timedelta(seconds=7)
        assert since(State.ACTIVE, claimed_at=claimed_at) == claimed_at + RHYTHM.every

    def test_its_first_block_begins_with_it(self) -> None:
        assert since(State.ACTIVE, claimed_at=None) == NOW + RHYTHM.every

    def test_one_that_ended_waits_for_both_signatures_first(self) -> None:
        assert since(State.CLOSED, claimed_at=NOW) == NOW + RHYTHM.patience

    def test_near_the_end_of_claims_nothing_waits(self) -> None:
        claim_by = int(NOW.timestamp()) + 1_800
        assert since(State.ACTIVE, claimed_at=NOW, claim_by=claim_by) == NOW


def due(name: str, *, waited: int = 0, urgent: bool = False, together: int = 256) -> Due[str]:
    """Return a claim that has been due for so many seconds."""
    return Due(name, since=NOW - timedelta(seconds=waited), urgent=urgent, together=together)


def sent(*claims: Due[str], size: int = 3) -> list[list[str]]:
    """Return the batches of three, or what ``size`` says, that go now; a minute is long enough to wait."""
    return batches(claims, Batching(size=size, age=timedelta(minutes=1)), now=NOW)


class TestBatches:
    def test_wait_for_more_while_they_are_few_and_young(self) -> None:
        assert sent(due("a", waited=59), due("b")) == []

    def test_go_when_they_are_full_the_longest_due_first(self) -> None:
        claims = [due("a", waited=1), due("b", waited=4), due("c", waited=3), due("d", waited=2)]
        assert sent(*claims) == [["b", "c", "d"]]

    def test_take_everybody_along_once_one_has_waited_long_enough(self) -> None:
        assert sent(due("a", waited=60), due("b")) == [["a", "b"]]

    def test_wait_for_nothing_where_claims_are_about_to_end(self) -> None:
        assert sent(due("a", urgent=True)) == [["a"]]

    def test_are_as_small_as_a_failed_one_asks(self) -> None:
        failed = [due(name, waited=60, together=2) for name in "abc"]
        assert sent(*failed, due("d", waited=60), due("e", waited=60)) == [["a", "b"], ["c"], ["d", "e"]]

    def test_leave_alone_what_goes_alone(self) -> None:
        skipped = due("a", together=1)
        assert sent(skipped, due("b"), due("c")) == [["a"]]

    def test_are_never_larger_than_they_may_be(self) -> None:
        assert sent(due("a"), due("b"), size=1) == [["a"], ["b"]]

    @given(st.lists(st.tuples(st.integers(0, 90), st.booleans(), st.integers(1, 8)), max_size=40))
    def test_have_every_claim_at_most_once_and_none_that_is_old_left_over(
        self, drawn: list[tuple[int, bool, int]]
    ) -> None:
        claims = [
            due(str(number), waited=waited, urgent=urgent, together=together)
            for number, (waited, urgent, together) in enumerate(drawn)
        ]
        found = sent(*claims, size=5)
        going = [name for batch in found for name in batch]
        assert len(going) == len(set(going))
        together = {each.claim: min(each.together, 5) for each in claims}
        assert all(1 <= len(batch) <= together[name] for batch in found for name in batch)
        old = {each.claim for each in claims if each.urgent or each.since <= NOW - timedelta(minutes=1)}
        assert old <= set(going)
