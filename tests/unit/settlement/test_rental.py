"""Where a rental goes next."""

import pytest

from hireling.rental.reading import Reading, ReadingEvent
from hireling.rental.states import TERMINAL, State
from services.settlement.rental import after_log, after_reading, after_refusal
from tests.builders import a_reading_chain

BEGIN, CONTINUE, END = (signed.reading for signed in a_reading_chain(3))


def of_event(event: ReadingEvent) -> Reading:
    """Return a reading in the middle of a rental with this event."""
    return CONTINUE.model_copy(update={"sample": CONTINUE.sample.model_copy(update={"event": event})})


class TestAfterReading:
    def test_begins_a_funded_rental(self) -> None:
        assert after_reading(State.FUNDED, BEGIN) == (State.ACTIVE,)

    def test_waits_for_the_money_of_one_that_is_not_funded(self) -> None:
        assert after_reading(State.AGREED, BEGIN) == ()

    def test_enters_nothing_without_a_reading(self) -> None:
        assert after_reading(State.FUNDED, None) == ()

    def test_enters_nothing_for_the_same_reading_again(self) -> None:
        assert after_reading(State.ACTIVE, BEGIN) == ()

    def test_suspends_and_resumes(self) -> None:
        assert after_reading(State.ACTIVE, of_event(ReadingEvent.SUSPEND)) == (State.SUSPENDED,)
        assert after_reading(State.SUSPENDED, of_event(ReadingEvent.RESUME)) == (State.ACTIVE,)

    def test_goes_on_where_the_resume_itself_was_the_begin(self) -> None:
        assert after_reading(State.FUNDED, of_event(ReadingEvent.SUSPEND)) == (State.ACTIVE, State.SUSPENDED)

    @pytest.mark.parametrize("state", [State.ACTIVE, State.SUSPENDED, State.ENDING])
    def test_closes_at_the_last_reading(self, state: State) -> None:
        assert after_reading(state, END) == (State.CLOSED,)

    @pytest.mark.parametrize("state", sorted(TERMINAL))
    def test_never_leaves_an_end(self, state: State) -> None:
        assert after_reading(state, END) == ()


class TestAfterRefusal:
    def test_ends_at_the_last_good_reading(self) -> None:
        assert after_refusal(State.ACTIVE, CONTINUE) == (State.CLOSED,)

    def test_begins_first_where_nobody_had_noticed_yet(self) -> None:
        assert after_refusal(State.FUNDED, CONTINUE) == (State.ACTIVE, State.CLOSED)

    def test_cancels_where_no_reading_was_good(self) -> None:
        assert after_refusal(State.FUNDED, None) == (State.CANCELLED,)


class TestAfterLog:
    def test_a_deposit_funds(self) -> None:
        assert after_log(State.AGREED, "Opened") == (State.FUNDED,)

    def test_a_close_settles_what_was_used_and_cancels_what_was_not(self) -> None:
        assert after_log(State.CLOSED, "Closed") == (State.SETTLED,)
        assert after_log(State.FUNDED, "Closed") == (State.CANCELLED,)

    def test_a_settlement_behind_our_back_is_a_forced_close(self) -> None:
        assert after_log(State.ACTIVE, "Settled") == (State.FORCE_CLOSED,)

    def test_a_dispute_is_followed_by_its_ruling(self) -> None:
        assert after_log(State.SETTLING, "Disputed") == (State.DISPUTED,)
        assert after_log(State.DISPUTED, "Ruled") == (State.RESOLVED,)

    def test_a_claim_moves_money_and_no_state(self) -> None:
        assert after_log(State.ACTIVE, "Claimed") == ()
