"""Which claim is due, and when."""

from datetime import timedelta

import pytest

from hireling.rental.ceiling import next_ceiling
from hireling.rental.escrow_math import Slot, Status
from hireling.rental.states import State
from services.settlement.claims import Rhythm, claimable, is_time
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


class TestIsTime:
    @pytest.mark.parametrize(("seconds", "due"), [(299, False), (300, True)])
    def test_a_running_rental_is_claimed_once_a_block(self, seconds: int, due: bool) -> None:
        now = NOW + timedelta(seconds=seconds)
        assert due == is_time(
            RHYTHM, state=State.ACTIVE, entered_at=NOW, claimed_at=NOW, claim_by=FAR, now=now
        )

    def test_its_first_block_begins_with_it(self) -> None:
        now = NOW + timedelta(seconds=300)
        assert is_time(RHYTHM, state=State.ACTIVE, entered_at=NOW, claimed_at=None, claim_by=FAR, now=now)

    @pytest.mark.parametrize(("seconds", "due"), [(59, False), (60, True)])
    def test_one_that_ended_waits_for_both_signatures_first(self, seconds: int, due: bool) -> None:
        now = NOW + timedelta(seconds=seconds)
        assert due == is_time(
            RHYTHM, state=State.CLOSED, entered_at=NOW, claimed_at=None, claim_by=FAR, now=now
        )

    def test_near_the_end_of_claims_nothing_waits(self) -> None:
        soon = int(NOW.timestamp()) + 1_800
        assert is_time(RHYTHM, state=State.ACTIVE, entered_at=NOW, claimed_at=NOW, claim_by=soon, now=NOW)
