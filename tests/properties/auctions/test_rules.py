"""What holds of every auction, whatever is bid."""

import random
from itertools import pairwise

from hypothesis import given, settings
from hypothesis import strategies as st

from hireling.auctions.awards import Forfeit, awards_of
from hireling.auctions.bids import Bids
from hireling.auctions.document import AuctionDocument, verify_auction
from hireling.auctions.notice import AuctionNotice
from hireling.auctions.rules import clock_price, lot_of, outcome_of
from hireling.rental.errors import AuctionRefused, RentalError
from tests.auctions import (
    CLOSES,
    OPENS,
    PRICES,
    a_bid,
    a_document,
    a_notice,
    moment,
    sealed_bids,
    with_bid,
)
from tests.builders import a_key

AMOUNTS = st.lists(st.sampled_from(PRICES[:6]), min_size=1, max_size=8)
SEALED_RULES = st.sampled_from(("uniform", "reverse"))
FEW = settings(max_examples=25, deadline=None)


def sealed_notice(rule: str, machines: int = 2) -> AuctionNotice:
    """Return the notice of a sealed auction."""
    return a_notice("reverse") if rule == "reverse" else a_notice("uniform", machines=machines)


@st.composite
def english_bids(draw: st.DrawFn) -> tuple[AuctionNotice, Bids]:
    """Return an English auction, and what of a random row of bids it admitted."""
    notice, bids, at = a_notice("english"), Bids(), OPENS
    for _ in range(draw(st.integers(min_value=0, max_value=12))):
        at += draw(st.integers(min_value=0, max_value=60))
        bidder = f"bidder {draw(st.integers(min_value=0, max_value=3))}"
        try:
            bids = with_bid(notice, bids, a_bid(notice, bidder, draw(st.sampled_from(PRICES))), at=at)
        except AuctionRefused:
            continue
    return notice, bids


class TestSealed:
    @FEW
    @given(rule=SEALED_RULES, amounts=AMOUNTS, seed=st.integers())
    def test_the_order_of_arrival_does_not_matter(self, rule: str, amounts: list[int], seed: int) -> None:
        notice = sealed_notice(rule)
        order = list(range(len(amounts)))
        random.Random(seed).shuffle(order)
        now = moment(notice.settled_by)
        shuffled = outcome_of(notice, sealed_bids(notice, amounts, order=order), now)
        assert shuffled == outcome_of(notice, sealed_bids(notice, amounts), now)

    @FEW
    @given(amounts=AMOUNTS, machines=st.integers(min_value=1, max_value=4))
    def test_one_price_for_all_never_above_a_winners_bid(self, amounts: list[int], machines: int) -> None:
        notice = sealed_notice("uniform", machines)
        outcome = outcome_of(notice, sealed_bids(notice, amounts), moment(notice.settled_by))
        highest = sorted(amounts, reverse=True)
        lost = highest[machines:]
        assert {ranked.price for ranked in outcome.winners} == {lost[0] if lost else notice.reserve}
        assert all(notice.reserve <= ranked.price <= ranked.amount for ranked in outcome.ranking)
        assert [ranked.amount for ranked in outcome.winners] == highest[:machines]

    @FEW
    @given(amounts=AMOUNTS)
    def test_the_lowest_machine_is_hired_for_what_it_asked(self, amounts: list[int]) -> None:
        notice = sealed_notice("reverse")
        outcome = outcome_of(notice, sealed_bids(notice, amounts), moment(notice.settled_by))
        (winner,) = outcome.winners
        assert winner.amount == winner.price == min(amounts) <= notice.limit

    @FEW
    @given(rule=SEALED_RULES, amounts=AMOUNTS)
    def test_equals_stand_in_the_order_of_their_lots(self, rule: str, amounts: list[int]) -> None:
        notice = sealed_notice(rule)
        outcome = outcome_of(notice, sealed_bids(notice, amounts), moment(notice.settled_by))
        assert outcome.seed is not None
        for better, worse in pairwise(outcome.ranking):
            if better.amount == worse.amount:
                assert lot_of(outcome.seed, better.bidder) < lot_of(outcome.seed, worse.bidder)

    @FEW
    @given(rule=SEALED_RULES, amounts=AMOUNTS, data=st.data())
    def test_what_is_withheld_is_as_if_never_bid(
        self, rule: str, amounts: list[int], data: st.DataObject
    ) -> None:
        notice = sealed_notice(rule)
        numbers = range(len(amounts))
        withheld = data.draw(st.sets(st.sampled_from(numbers)))
        bids = sealed_bids(notice, amounts, withheld=sorted(withheld))
        outcome = outcome_of(notice, bids, moment(notice.settled_by))
        assert set(outcome.unrevealed) == {a_key(f"bidder {number}").identity for number in withheld}
        assert outcome.ranking == outcome_of(
            notice, Bids(bids=bids.bids), moment(notice.settled_by)
        ).ranking  # fmt: skip
        assert len(outcome.ranking) == len(amounts) - len(withheld)


class TestDutch:
    @FEW
    @given(second=st.integers(min_value=0, max_value=10 * len(PRICES) - 1))
    def test_the_clock_falls_through_every_price(self, second: int) -> None:
        notice = a_notice("dutch")
        assert clock_price(notice, OPENS + second) == PRICES[::-1][second // 10]

    @FEW
    @given(second=st.integers(min_value=0, max_value=10 * len(PRICES) - 1))
    def test_who_accepts_first_has_it_for_the_clocks_price(self, second: int) -> None:
        notice, at = a_notice("dutch"), OPENS + second
        price = clock_price(notice, at)
        bids = with_bid(notice, Bids(), a_bid(notice, "bidder 1", price), at=at)
        outcome = outcome_of(notice, bids, moment(at))
        assert [(one.bidder, one.price) for one in outcome.winners] == [(a_key("bidder 1").identity, price)]
        assert outcome.phase == "over"


class TestEnglish:
    @FEW
    @given(auction=english_bids())
    def test_the_highest_wins_and_pays_its_own_bid(self, auction: tuple[AuctionNotice, Bids]) -> None:
        notice, bids = auction
        outcome = outcome_of(notice, bids, moment(notice.settled_by))
        amounts = [came.signed.bid.amount for came in bids.bids]
        assert [one.price for one in outcome.winners] == ([max(amounts)] if amounts else [])
        assert all(one.price == one.amount >= notice.reserve for one in outcome.ranking)
        steps_up = pairwise(amounts)
        assert all(later >= earlier + notice.increment for earlier, later in steps_up)

    @FEW
    @given(auction=english_bids())
    def test_nobody_is_outbid_without_time_to_answer(self, auction: tuple[AuctionNotice, Bids]) -> None:
        notice, bids = auction
        outcome = outcome_of(notice, bids, moment(notice.settled_by))
        assert notice.latest_close is not None
        assert CLOSES <= outcome.ends_at <= notice.latest_close
        for came in bids.bids:
            answer_by = min(came.came_at + notice.extension_seconds, notice.latest_close)
            assert came.came_at < outcome.ends_at >= answer_by


class TestAwards:
    @FEW
    @given(rule=SEALED_RULES, amounts=AMOUNTS, data=st.data())
    def test_each_machine_has_one_winner_and_each_winner_one_machine(
        self, rule: str, amounts: list[int], data: st.DataObject
    ) -> None:
        notice = sealed_notice(rule)
        bids = sealed_bids(notice, amounts)
        outcome = outcome_of(notice, bids, moment(notice.settled_by))
        forfeits: list[Forfeit] = []
        for _ in range(data.draw(st.integers(min_value=0, max_value=len(amounts)))):
            standing = awards_of(notice, bids, outcome, forfeits)
            if standing:
                chosen = data.draw(st.sampled_from(standing))
                at = max([chosen.until + 1, *(one.at for one in forfeits)])
                forfeits.append(Forfeit(bidder=chosen.bidder, at=at))
        awards = awards_of(notice, bids, outcome, forfeits)
        assert len({award.device for award in awards}) == len({award.bidder for award in awards})
        assert len(awards) == min(outcome.won, len(outcome.ranking) - len(forfeits))
        own = {ranked.bidder: ranked.amount for ranked in outcome.ranking}
        assert not {award.bidder for award in awards} & {one.bidder for one in forfeits}
        if rule == "uniform":
            assert all(award.price <= own[award.bidder] for award in awards)


class TestDocument:
    @FEW
    @given(rule=SEALED_RULES, amounts=AMOUNTS)
    def test_of_an_honest_auction_verifies(self, rule: str, amounts: list[int]) -> None:
        notice = sealed_notice(rule)
        document = a_document(notice, sealed_bids(notice, amounts))
        verify_auction(AuctionDocument.model_validate_json(document.model_dump_json()))

    @FEW
    @given(rule=SEALED_RULES, amounts=AMOUNTS, data=st.data())
    def test_with_another_winner_or_amount_does_not(
        self, rule: str, amounts: list[int], data: st.DataObject
    ) -> None:
        notice = sealed_notice(rule)
        document = a_document(notice, sealed_bids(notice, amounts))
        plain = document.model_dump(mode="json")
        number = data.draw(st.integers(min_value=0, max_value=len(amounts) - 1))
        part = data.draw(st.sampled_from(("amount", "bidder", "ranking", "left out", "late")))
        if part == "amount":
            other = data.draw(st.sampled_from([price for price in PRICES if price != amounts[number]]))
            plain["bids"]["bids"][number]["signed"]["bid"]["amount"] = str(other)
        elif part == "bidder":
            plain["bids"]["bids"][number]["signed"]["bid"]["bidder"] = "0x" + "77" * 20
        elif part == "ranking":
            plain["outcome"]["ranking"][0]["price"] = str(int(plain["outcome"]["ranking"][0]["price"]) + 1)
        elif part == "left out":
            del plain["bids"]["bids"][number]
        else:
            plain["bids"]["bids"][number]["came_at"] = str(notice.settled_by)
        tampered = AuctionDocument.model_validate(plain, strict=False)
        try:
            verify_auction(tampered)
        except RentalError:
            return
        raise AssertionError(f"a document whose {part} was changed verifies")
