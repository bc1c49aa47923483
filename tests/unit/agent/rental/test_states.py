"""The life of a rental: no state without an end, a deadline and a default."""

from datetime import UTC, datetime, timedelta

import pytest

from hireling.rental.errors import IllegalTransition
from hireling.rental.states import (
    DEFAULTS,
    TERMINAL,
    TRANSITIONS,
    State,
    Trigger,
    advance,
    deadline,
    facts_of,
)
from tests.builders import NOW, an_agreement

AGREEMENT = an_agreement()
LIVING = [state for state in State if state not in TERMINAL]


class TestDefaults:
    @pytest.mark.parametrize("state", LIVING)
    def test_alone_end_every_rental_within_the_longest_lock(self, state: State) -> None:
        now = NOW
        steps = 0
        while state not in TERMINAL:
            due = deadline(state, facts_of(AGREEMENT, entered_at=now))
            assert due is not None
            now = max(now, due)
            state = advance(state, DEFAULTS[state])
            steps += 1
            assert steps <= len(State)
        longest = AGREEMENT.claim_by + AGREEMENT.rules.challenge_window + 9 * 86_400
        assert now.timestamp() <= longest

    def test_are_there_for_every_state_that_is_no_end_and_for_no_other(self) -> None:
        assert set(DEFAULTS) == set(LIVING)

    @pytest.mark.parametrize("state", sorted(TERMINAL))
    def test_nothing_moves_an_end(self, state: State) -> None:
        assert deadline(state, facts_of(AGREEMENT, entered_at=NOW)) is None
        assert [trigger for trigger in Trigger if (state, trigger) in TRANSITIONS] == []


class TestTransitions:
    def test_lead_along_the_whole_life(self) -> None:
        state = State.QUOTED
        for trigger in (
            Trigger.BOTH_SIGNED,
            Trigger.DEPOSIT_CONFIRMED,
            Trigger.UNLOCK_ASKED,
            Trigger.BEGIN_READING,
            Trigger.SUSPEND_READING,
            Trigger.RESUME_READING,
            Trigger.END_DUE,
            Trigger.LAST_READING,
            Trigger.CLAIMS_OVER,
            Trigger.SETTLEMENT_CONFIRMED,
        ):
            state = advance(state, trigger)
        assert state is State.SETTLED

    def test_reach_every_state(self) -> None:
        assert {*TRANSITIONS.values(), State.QUOTED} == set(State)

    def test_use_every_trigger(self) -> None:
        assert {trigger for _, trigger in TRANSITIONS} == set(Trigger)

    def test_refuse_what_means_nothing(self) -> None:
        with pytest.raises(IllegalTransition, match="resume_reading means nothing in QUOTED"):
            advance(State.QUOTED, Trigger.RESUME_READING)

    @pytest.mark.parametrize(
        "state", [State.ACTIVE, State.SUSPENDED, State.ENDING, State.CLOSED, State.SETTLING]
    )
    def test_let_both_sides_close_at_any_time(self, state: State) -> None:
        assert advance(state, Trigger.CLOSE_CONFIRMED) is State.SETTLED


class TestDeadline:
    @pytest.mark.parametrize(
        ("state", "after"),
        [
            (State.ARMED, timedelta(seconds=60)),
            (State.FUNDED, timedelta(minutes=15)),
            (State.SUSPENDED, timedelta(seconds=30)),
            (State.ENDING, timedelta(minutes=10)),
        ],
    )
    def test_runs_from_when_the_state_began(self, state: State, after: timedelta) -> None:
        assert deadline(state, facts_of(AGREEMENT, entered_at=NOW)) == NOW + after

    @pytest.mark.parametrize(
        ("state", "unix_seconds"),
        [
            (State.AGREED, AGREEMENT.rules.fund_by),
            (State.ACTIVE, AGREEMENT.rules.end_by),
            (State.CLOSED, AGREEMENT.claim_by),
            (State.SETTLING, AGREEMENT.claim_by + 3_600),
            (State.DISPUTED, AGREEMENT.claim_by + 3_600 + 9 * 86_400),
        ],
    )
    def test_is_the_agreement_s(self, state: State, unix_seconds: int) -> None:
        assert deadline(state, facts_of(AGREEMENT, entered_at=NOW)) == datetime.fromtimestamp(
            unix_seconds, UTC
        )

    def test_follows_an_exit(self) -> None:
        facts = facts_of(AGREEMENT, entered_at=NOW, claim_by=AGREEMENT.claim_by - 500)
        assert deadline(State.CLOSED, facts) == datetime.fromtimestamp(AGREEMENT.claim_by - 500, UTC)

    def test_of_an_offer_is_its_own(self) -> None:
        facts = facts_of(AGREEMENT, entered_at=NOW, valid_until=int(NOW.timestamp()) + 5)
        assert deadline(State.QUOTED, facts) == NOW + timedelta(seconds=5)

    def test_of_waiting_never_outlasts_the_rental(self) -> None:
        late = datetime.fromtimestamp(AGREEMENT.rules.end_by - 1, UTC)
        facts = facts_of(AGREEMENT, entered_at=late)
        assert deadline(State.SUSPENDED, facts) == deadline(State.ACTIVE, facts)
        assert deadline(State.FUNDED, facts) == deadline(State.ACTIVE, facts)
