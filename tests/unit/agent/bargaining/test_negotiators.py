"""Every strategy: its limit holds, its word is repeatable, and it answers in time."""

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hireling.bargaining.round_aware import RoundAware
from hireling.bargaining.session import Accept, Counter, End, Negotiator, SessionView
from hireling.bargaining.time_dependent import BOULWARE, CONCEDER, LINEAR, TimeDependent
from tests.unit.agent.bargaining.sessions import STRATEGIES, Party, meet, pairs, views

anyone = st.sampled_from(STRATEGIES)


class TestEveryStrategy:
    @given(negotiator=anyone, view=views())
    def test_neither_offers_nor_takes_less_than_no_deal(
        self, negotiator: Negotiator, view: SessionView
    ) -> None:
        decision = negotiator.step(view)

        if isinstance(decision, Accept):
            assert view.utility.of(view.theirs[-1]) >= view.reservation
        elif isinstance(decision, Counter):
            assert view.utility.of(decision.offer) >= view.reservation

    @given(negotiator=anyone, view=views())
    def test_decides_the_same_twice(self, negotiator: Negotiator, view: SessionView) -> None:
        again = SessionView(
            issues=view.issues,
            utility=view.utility,
            reservation=view.reservation,
            deadline=view.deadline,
            offers=view.offers,
        )

        assert negotiator.step(view) == negotiator.step(again)

    @given(negotiator=anyone, view=views())
    def test_makes_no_offer_that_nobody_could_answer(self, negotiator: Negotiator, view: SessionView) -> None:
        decision = negotiator.step(view)

        if isinstance(decision, Counter):
            assert view.round < view.deadline - 1

    @given(negotiator=anyone, view=views())
    def test_says_why(self, negotiator: Negotiator, view: SessionView) -> None:
        decision = negotiator.step(view)

        record = decision.record
        assert (record.inputs, record.strategy) == (view.fingerprint, negotiator.STRATEGY)
        assert record.rule
        if not isinstance(decision, End):
            assert record.outcome is not None
            assert record.utility == view.utility.of(record.outcome)

    @given(parties=pairs(), deadline=st.integers(1, 20))
    def test_a_meeting_ends_in_time_and_never_below_a_reservation_value(
        self, parties: tuple[Party, Party], deadline: int
    ) -> None:
        ending = meet(parties, deadline=deadline)

        assert ending.moves < deadline
        if ending.deal is not None:
            assert all(party.utility.of(ending.deal) >= party.reservation for party in parties)

    @given(parties=pairs(), deadline=st.integers(1, 20))
    def test_never_asks_for_more_than_it_asked_before(
        self, parties: tuple[Party, Party], deadline: int
    ) -> None:
        ending = meet(parties, deadline=deadline)

        for decisions in ending.decisions:
            targets = [decision.record.target for decision in decisions]
            assert all(later <= earlier + 1e-12 for earlier, later in pairwise(targets))


class TestTimeDependent:
    @pytest.mark.parametrize("negotiator", [BOULWARE, LINEAR, CONCEDER])
    @given(view=views())
    def test_asks_for_the_best_at_first_and_for_the_reservation_value_at_last(
        self, negotiator: TimeDependent, view: SessionView
    ) -> None:
        target = negotiator.target(view)

        if view.turns_left > 1 and not view.ours:
            assert target == 1
        if view.turns_left == 1:
            assert target == pytest.approx(view.reservation)

    @given(view=views())
    def test_boulware_asks_for_no_less_than_linear_nor_linear_than_conceder(self, view: SessionView) -> None:
        assert BOULWARE.target(view) >= LINEAR.target(view) >= CONCEDER.target(view)


class TestRoundAware:
    @given(parties=pairs(), deadline=st.integers(2, 20))
    def test_agrees_with_itself_wherever_both_would_take_anything(
        self, parties: tuple[Party, Party], deadline: int
    ) -> None:
        first, second = (Party(RoundAware(), party.utility, 0.0) for party in parties)

        assert meet((first, second), deadline=deadline).deal is not None

    @given(view=views())
    def test_asks_for_no_less_than_it_was_offered(self, view: SessionView) -> None:
        decision = RoundAware().step(view)

        if isinstance(decision, Counter) and view.theirs:
            best = max(view.utility.of(offer) for offer in view.theirs)
            assert view.utility.of(decision.offer) >= min(best, decision.record.target)
