"""What falls due when time passes."""

from datetime import UTC, datetime, timedelta

import pytest

from hireling.rental.escrow_math import Slot, Status
from hireling.rental.states import TERMINAL, State, Trigger
from services.settlement.deadlines import BY_TIME_ALONE, deadline_of, default_due, settlement_due
from tests.builders import NOW, an_agreement

AGREEMENT = an_agreement()
CLAIM_BY = AGREEMENT.claim_by
CHALLENGE = AGREEMENT.rules.challenge_window


def slot(*, tail: int = 0, status: Status = Status.OPEN) -> Slot:
    """Return a slot with 100 paid."""
    return Slot(100, tail, CLAIM_BY, 10_000, status)


class TestDefaultDue:
    @pytest.mark.parametrize("state", sorted(BY_TIME_ALONE))
    def test_comes_after_the_deadline_and_not_at_it(self, state: State) -> None:
        due = deadline_of(AGREEMENT, state, entered_at=NOW, claim_by=CLAIM_BY)
        assert due is not None
        at = int(due.timestamp())
        assert default_due(AGREEMENT, state, entered_at=NOW, claim_by=CLAIM_BY, now=at) is None
        assert default_due(AGREEMENT, state, entered_at=NOW, claim_by=CLAIM_BY, now=at + 1) is not None

    @pytest.mark.parametrize("state", sorted(set(State) - BY_TIME_ALONE - {State.QUOTED}))
    def test_is_the_escrows_own_in_the_other_states(self, state: State) -> None:
        assert default_due(AGREEMENT, state, entered_at=NOW, claim_by=CLAIM_BY, now=1 << 39) is None

    def test_an_unfunded_rental_expires(self) -> None:
        late = AGREEMENT.rules.fund_by + 1
        assert (
            default_due(AGREEMENT, State.AGREED, entered_at=NOW, claim_by=CLAIM_BY, now=late)
            == Trigger.NEVER_FUNDED
        )

    def test_an_exit_ends_the_use_that_much_earlier(self) -> None:
        exited = CLAIM_BY - 300
        usual = deadline_of(AGREEMENT, State.ACTIVE, entered_at=NOW, claim_by=CLAIM_BY)
        sooner = deadline_of(AGREEMENT, State.ACTIVE, entered_at=NOW, claim_by=exited)
        assert usual is not None
        assert sooner == usual - timedelta(seconds=300)

    @pytest.mark.parametrize("after_the_end", [timedelta(seconds=-5), timedelta(0), timedelta(hours=1)])
    def test_money_that_is_seen_near_the_end_or_after_it_waits_for_the_readings(
        self, after_the_end: timedelta
    ) -> None:
        entered = datetime.fromtimestamp(AGREEMENT.rules.end_by, UTC) + after_the_end
        due = deadline_of(AGREEMENT, State.FUNDED, entered_at=entered, claim_by=CLAIM_BY)
        assert due == entered + timedelta(minutes=10)

    def test_a_booking_that_was_paid_before_it_begins_waits_no_longer_than_its_end(self) -> None:
        pay, end = AGREEMENT.pay, AGREEMENT.rules.end_by
        booked = AGREEMENT.model_copy(update={"pay": pay.model_copy(update={"start_at": end - 60})})
        entered = datetime.fromtimestamp(end - 120, UTC)
        due = deadline_of(booked, State.FUNDED, entered_at=entered, claim_by=CLAIM_BY)
        assert due == datetime.fromtimestamp(end, UTC)

    @pytest.mark.parametrize("state", sorted(TERMINAL))
    def test_an_end_has_no_deadline(self, state: State) -> None:
        assert deadline_of(AGREEMENT, state, entered_at=NOW, claim_by=CLAIM_BY) is None


class TestSettlementDue:
    def test_waits_for_the_end_of_claims(self) -> None:
        assert settlement_due(AGREEMENT, slot(), now=CLAIM_BY) is None
        assert settlement_due(AGREEMENT, slot(), now=CLAIM_BY + 1) == "settle"

    def test_gives_the_uncontested_part_back_while_the_tail_waits(self) -> None:
        assert settlement_due(AGREEMENT, slot(tail=5), now=CLAIM_BY + 1) == "split"

    def test_does_not_split_twice(self) -> None:
        split = slot(tail=5, status=Status.OPEN | Status.SPLIT)
        assert settlement_due(AGREEMENT, split, now=CLAIM_BY + 1) is None
        assert settlement_due(AGREEMENT, split, now=CLAIM_BY + CHALLENGE + 1) == "settle"

    def test_has_nothing_to_do_for_what_is_done(self) -> None:
        assert settlement_due(AGREEMENT, slot(status=Status.DONE), now=1 << 39) is None

    def test_waits_nine_days_for_a_silent_arbiter(self) -> None:
        disputed = slot(tail=5, status=Status.OPEN | Status.SPLIT | Status.DISPUTE)
        rule_by = CLAIM_BY + CHALLENGE + 9 * 86_400
        assert settlement_due(AGREEMENT, disputed, now=rule_by) is None
        assert settlement_due(AGREEMENT, disputed, now=rule_by + 1) == "settle"

    def test_speaks_of_aware_moments(self) -> None:
        due = deadline_of(AGREEMENT, State.CLOSED, entered_at=NOW, claim_by=CLAIM_BY)
        assert due == datetime.fromtimestamp(CLAIM_BY, UTC)
