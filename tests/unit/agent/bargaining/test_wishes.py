"""Plain settings, the utilities they make, and that two agents with such settings come to terms."""

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hireling.bargaining.outcomes import space_of
from hireling.bargaining.phrases import NotUnderstood, owner_says, renter_says
from hireling.bargaining.preferences import UNACCEPTABLE
from hireling.bargaining.session import Accept, Counter
from hireling.bargaining.talks import Talks, describe, reason_for
from hireling.bargaining.wishes import OwnerWishes, Preferences, RenterWishes
from hireling.rental.agenda import Agenda
from hireling.rental.hashing import keccak256
from hireling.rental.offer import Offer, counter, first_offer, terms_of
from hireling.rental.table import Table
from tests.builders import NOW, a_listing, a_request, platform_terms

START = int(NOW.timestamp())  # noon, UTC
ALL = Agenda(
    price=tuple(range(100, 49, -2)),
    duration=(100, 75, 50),
    start=(0, 7 * 3_600, 12 * 3_600),
    deposit=(100, 75, 50, 25),
    cap=(100, 90, 80, 70),
)
PRICE_ALONE = Agenda()


def owner(agenda: Agenda = ALL, **settings: Any) -> Preferences:
    """Return an owner's preferences."""
    return OwnerWishes(**settings).preferences(agenda, start=START)


def renter(agenda: Agenda = ALL, **settings: Any) -> Preferences:
    """Return a renter's preferences."""
    return RenterWishes(**settings).preferences(agenda)


def bargain(agenda: Agenda, parties: tuple[Preferences, Preferences]) -> tuple[Offer | None, list[str]]:
    """Have both sides bargain as the agents do, by signed terms; return the deal and every reason given."""
    listing = a_listing(agenda=agenda)
    request = a_request(listing=listing)
    table = Table(listing=listing, request=request)
    talks = [Talks(table=table, preferences=preferences) for preferences in parties]
    offers = [first_offer(listing, request, platform_terms(), NOW, keccak256(b"salt"), "session")]
    reasons = []
    while True:
        side = talks[len(offers) % 2]
        decision = side.decide(offers)
        reasons.append(reason_for(decision, side.preferences.issues))
        if isinstance(decision, Counter):
            offers.append(counter(offers[-1], terms=side.terms(decision.offer), now=NOW))
            assert offers[-1].round <= agenda.rounds
        else:
            return (offers[-1] if isinstance(decision, Accept) else None), reasons


class TestOwnerWishes:
    def test_nothing_makes_up_for_a_price_below_the_floor(self) -> None:
        wants = owner(least_price_percent=80)
        floor = ALL.price.index(80)
        assert wants.utility.of((floor + 1, 0, 0, 0, 0)) == UNACCEPTABLE
        assert wants.utility.of((floor, 2, 2, 3, 3)) >= 0
        assert min(space_of(wants.utility).utilities) >= 0

    def test_likes_evenings_where_it_prefers_them(self) -> None:
        indifferent, evenings = owner(), owner(prefer="evenings")
        noon, seven, midnight = ((0, 0, place, 0, 0) for place in range(3))
        assert (
            indifferent.utility.of(noon) == indifferent.utility.of(seven) == indifferent.utility.of(midnight)
        )
        assert evenings.utility.of(seven) == 1
        assert evenings.utility.of(seven) > evenings.utility.of(midnight) > evenings.utility.of(noon)

    def test_takes_all_alike_where_only_one_price_is_left(self) -> None:
        wants = owner(Agenda(price=(100, 90)), least_price_percent=100)
        assert wants.utility.of((0, 0, 0, 0, 0)) == 1
        assert wants.utility.of((1, 0, 0, 0, 0)) == UNACCEPTABLE

    def test_nothing_makes_up_for_a_start_at_which_the_machine_is_promised(self) -> None:
        wants = OwnerWishes().preferences(ALL, start=START, taken=frozenset({1}))
        assert wants.utility.of((0, 0, 1, 0, 0)) == UNACCEPTABLE
        assert wants.utility.of((0, 0, 2, 0, 0)) > UNACCEPTABLE
        with pytest.raises(ValueError, match="no start on the table"):
            OwnerWishes().preferences(ALL, start=START, taken=frozenset({0, 1, 2}))

    def test_refuses_bounds_that_leave_nothing(self) -> None:
        with pytest.raises(ValueError, match="no price on the table is within"):
            renter(Agenda(price=(100, 90)), most_price_percent=80)


class TestRenterWishes:
    def test_takes_no_later_start_shorter_time_or_lower_cap_unless_it_said_so(self) -> None:
        wants = renter()
        for issue in (1, 2, 4):
            outcome = [0] * 5
            outcome[issue] = 1
            assert wants.utility.of(tuple(outcome)) == UNACCEPTABLE

    def test_likes_what_the_owner_does_not(self) -> None:
        wants = renter(shortest_percent=50, latest_start_seconds=12 * 3_600, least_cap_percent=70)
        assert wants.utility.of((len(ALL.price) - 1, 0, 0, 3, 3)) == 1
        assert wants.utility.of((0, 2, 2, 0, 0)) == 0


class TestBargain:
    @given(floor=st.integers(50, 100), ceiling=st.integers(50, 100), rounds=st.integers(2, 20))
    def test_on_the_price_alone_ends_inside_both_bounds_wherever_there_is_room(
        self, floor: int, ceiling: int, rounds: int
    ) -> None:
        agenda = PRICE_ALONE.model_copy(update={"rounds": rounds})
        parties = owner(agenda, least_price_percent=floor), renter(agenda, most_price_percent=ceiling)
        deal, _ = bargain(agenda, parties)
        if floor > ceiling:
            assert deal is None
            return
        assert deal is not None
        listing = a_listing(agenda=agenda)
        table = Table(listing=listing, request=a_request(listing=listing))
        percent = agenda.price[check(table, deal)[0]]
        assert floor <= percent <= ceiling

    @settings(max_examples=30)
    @given(
        floor=st.integers(50, 90),
        shortest=st.sampled_from([50, 75, 100]),
        weight=st.sampled_from([0.0, 0.3, 3.0, 12.0]),
        walk_away=st.integers(0, 30),
    )
    def test_over_all_issues_ends_inside_both_sides_bounds(
        self, floor: int, shortest: int, weight: float, walk_away: int
    ) -> None:
        ours = owner(least_price_percent=floor, prefer="evenings", weights={"deposit": weight})
        theirs = renter(
            shortest_percent=shortest,
            latest_start_seconds=12 * 3_600,
            least_cap_percent=80,
            walk_away_percent=walk_away,
        )
        deal, _ = bargain(ALL, (ours, theirs))
        assert deal is not None
        listing = a_listing(agenda=ALL)
        outcome = check(Table(listing=listing, request=a_request(listing=listing)), deal)
        assert ours.utility.of(outcome) >= 0
        assert theirs.utility.of(outcome) >= walk_away / 100

    def test_trades_one_issue_for_another(self) -> None:
        # The renter does not care when it starts and the owner does: it starts in the evening, for less.
        ours = owner(prefer="evenings", weights={"start": 6})
        theirs = renter(latest_start_seconds=12 * 3_600, weights={"start": 0})
        deal, reasons = bargain(ALL, (ours, theirs))
        assert deal is not None
        listing = a_listing(agenda=ALL)
        outcome = check(Table(listing=listing, request=a_request(listing=listing)), deal)
        assert ALL.start[outcome[2]] == 7 * 3_600
        assert ALL.price[outcome[0]] < 100
        assert all("worth" in reason for reason in reasons)


class TestPhrases:
    def test_reads_an_owner(self) -> None:
        said = owner_says("never under 0.12 per kWh, prefer evenings, short rentals fine", OwnerWishes())
        assert (said.least_price, said.unit) == ("0.12", "kWh")
        assert said.wishes == OwnerWishes(prefer="evenings", weights={"duration": 0.3})

    def test_reads_a_renter(self) -> None:
        said = renter_says(
            "Never over 0.50; start within 30 min, at least 75 % of the time,"
            " at most 50 percent of the deposit, price matters most, walk away under 20%",
            RenterWishes(),
        )
        assert said.budget == "0.50"
        assert said.wishes == RenterWishes(
            latest_start_seconds=1_800,
            shortest_percent=75,
            most_deposit_percent=50,
            walk_away_percent=20,
            weights={"price": 12.0},
        )

    @pytest.mark.parametrize("phrase", ["never ever", "never under", "prefer tuesdays", "never under 101 %"])
    def test_guesses_nothing(self, phrase: str) -> None:
        with pytest.raises(NotUnderstood, match="is not understood; phrases are such as: never under"):
            owner_says(f"full deposit, {phrase}", OwnerWishes())

    def test_says_nothing_where_nothing_was_said(self) -> None:
        assert owner_says(" , ", OwnerWishes()).wishes == OwnerWishes()


def check(table: Table, deal: Offer) -> tuple[int, ...]:
    """Return the outcome a deal is."""
    return table.outcome(terms_of(deal))


def test_describes_an_outcome_without_what_is_not_on_the_table() -> None:
    assert describe((0, 0, 1, 2, 0), owner().issues) == (
        "price 100 %, duration 100 %, start +25200 s, deposit 50 %, cap 100 %"
    )
    assert describe((3, 0, 0, 0, 0), owner(PRICE_ALONE).issues) == "price 97 %"
    assert describe((0,) * 5, owner(Agenda(price=(100,))).issues) == "as listed"
