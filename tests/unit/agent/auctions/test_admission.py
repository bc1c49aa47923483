"""What an auction admits, and what it says to the rest."""

from collections.abc import Callable
from typing import Any

import pytest

from hireling.auctions.admission import check_opening
from hireling.auctions.awards import Forfeit, awards_of
from hireling.auctions.bids import Bids, SignedBid
from hireling.auctions.document import verify_auction
from hireling.auctions.notice import AuctionNotice
from hireling.auctions.rules import clock_price, outcome_of
from hireling.auctions.steps import WON_OFFER_SECONDS, check_won_offer, percent_of, won_offer
from hireling.rental.documents import document_hash
from hireling.rental.errors import AuctionRefused, RentalError, SignatureMismatch
from hireling.rental.offer import check_sequence
from hireling.rental.table import START_STEP
from tests.auctions import (
    CLOSES,
    OPENS,
    PRICES,
    SECONDS,
    START,
    a_bid,
    a_document,
    a_lot,
    a_notice,
    lots_of,
    moment,
    sealed_bids,
    signed_notice,
    with_bid,
    with_commitment,
)
from tests.builders import DOMAIN, NOW, a_key, a_listing, a_request, platform_terms

Step = Callable[[], object]


def refusal(step: Step) -> str:
    """Return the code with which a step is refused."""
    with pytest.raises(AuctionRefused) as caught:
        step()
    return caught.value.code


def english(*amounts: int, at: int = OPENS) -> tuple[AuctionNotice, Bids]:
    """Return an English auction with these bids, by one bidder after the other."""
    notice, bids = a_notice("english"), Bids()
    for number, amount in enumerate(amounts):
        bids = with_bid(notice, bids, a_bid(notice, f"bidder {number}", amount), at=at)
    return notice, bids


class TestNotice:
    @pytest.mark.parametrize(
        ("rule", "changes"),
        [
            ("english", {"increment": 0}),
            ("english", {"latest_close": None}),
            ("english", {"reveal_seconds": 60}),
            ("dutch", {"closes_at": CLOSES + 1}),
            ("uniform", {"reveal_seconds": 0}),
            ("uniform", {"lots": ()}),
            ("reverse", {"prices": PRICES[:2]}),
            ("reverse", {"renter": None}),
            ("english", {"prices": PRICES[::-1]}),
            ("english", {"award_seconds": 1}),
            ("english", {"start_at": CLOSES + 1}),
            ("english", {"opens_at": CLOSES}),
        ],
    )
    def test_says_all_that_its_rule_needs_and_nothing_else(self, rule: str, changes: dict[str, Any]) -> None:
        with pytest.raises(ValueError, match=r"auction|prices|winner|start|machine"):
            a_notice(rule, **changes)

    def test_opens_with_its_machines(self) -> None:
        notice = a_notice("uniform", machines=3)
        check_opening(signed_notice(notice), [a_lot(0), a_lot(1), a_lot(2)], domain=DOMAIN)

    def test_is_refused_where_the_machines_differ(self) -> None:
        lots = [a_lot(0), a_lot(1, deposit=20_000)]
        notice = a_notice("uniform", lots=lots_of(lots))
        step = lambda: check_opening(signed_notice(notice), lots, domain=DOMAIN)  # noqa: E731
        assert refusal(step) == "machines_differ"

    def test_is_refused_at_an_amount_that_no_price_step_makes(self) -> None:
        notice = a_notice("english", prices=(PRICES[0] + 1,))
        step = lambda: check_opening(signed_notice(notice), [a_lot(0)], domain=DOMAIN)  # noqa: E731
        assert refusal(step) == "no_price_step"

    @pytest.mark.parametrize("seconds_too_long", [0, 1])
    def test_is_refused_where_its_first_award_outlasts_its_start(self, seconds_too_long: int) -> None:
        settled_by = a_notice("uniform").settled_by
        award_seconds = START + START_STEP - settled_by + seconds_too_long
        signed = signed_notice(a_notice("uniform", award_seconds=award_seconds))
        step = lambda: check_opening(signed, [a_lot(0)], domain=DOMAIN)  # noqa: E731
        if seconds_too_long:
            assert refusal(step) == "awards_too_long"
            return
        check_opening(signed, [a_lot(0)], domain=DOMAIN)

    def test_is_refused_unless_its_holder_signed_it(self) -> None:
        notice = a_notice("english")
        forged = signed_notice(notice).model_copy(
            update={"notice": notice.model_copy(update={"award_seconds": 61})}
        )
        with pytest.raises(SignatureMismatch):
            check_opening(forged, [a_lot(0)], domain=DOMAIN)

    def test_is_refused_for_somebody_elses_machine(self) -> None:
        notice = a_notice("english", holder=a_key("stranger").identity)
        signed = signed_notice(a_notice("english")).model_copy(update={"notice": notice})
        with pytest.raises(SignatureMismatch):
            check_opening(signed, [a_lot(0)], domain=DOMAIN)


class TestEnglish:
    def test_takes_no_bid_below_the_increment(self) -> None:
        notice, bids = english(PRICES[3])
        assert PRICES[4] - PRICES[3] < notice.increment
        step = lambda: with_bid(notice, bids, a_bid(notice, "late", PRICES[4]), at=OPENS)  # noqa: E731
        assert refusal(step) == "too_low"

    def test_nobody_outbids_itself(self) -> None:
        notice, bids = english(PRICES[0])
        step = lambda: with_bid(notice, bids, a_bid(notice, "bidder 0", PRICES[9]), at=OPENS)  # noqa: E731
        assert refusal(step) == "already_leading"

    @pytest.mark.parametrize("at", [OPENS - 1, CLOSES])
    def test_takes_no_bid_before_it_opens_and_none_from_its_end_on(self, at: int) -> None:
        notice = a_notice("english")
        assert refusal(lambda: with_bid(notice, Bids(), a_bid(notice), at=at)) == "not_open"

    def test_a_late_bid_moves_the_end_up_to_the_latest(self) -> None:
        notice, bids = english(PRICES[0], at=CLOSES - 1)
        assert outcome_of(notice, bids, moment(CLOSES)).ends_at == CLOSES - 1 + 30
        for number, at in enumerate(range(CLOSES + 20, CLOSES + 120, 25)):
            bids = with_bid(
                notice, bids, a_bid(notice, f"later {number}", PRICES[20 * number // 2 + 9]), at=at
            )
        assert outcome_of(notice, bids, moment(CLOSES)).ends_at == notice.latest_close


class TestDutch:
    def test_takes_the_clocks_price_alone(self) -> None:
        notice = a_notice("dutch")
        step = lambda: with_bid(notice, Bids(), a_bid(notice, "early", PRICES[-2]), at=OPENS)  # noqa: E731
        assert refusal(step) == "not_the_clocks_price"

    def test_takes_nothing_after_the_first(self) -> None:
        notice = a_notice("dutch")
        bids = with_bid(notice, Bids(), a_bid(notice, "first", PRICES[-1]), at=OPENS)
        step = lambda: with_bid(notice, bids, a_bid(notice, "second", PRICES[-1]), at=OPENS)  # noqa: E731
        assert refusal(step) == "already_sold"


class TestSealed:
    def test_a_bidder_commits_once(self) -> None:
        notice = a_notice("uniform")
        signed = a_bid(notice, "bidder 0", PRICES[0])
        bids = with_commitment(notice, Bids(), signed, bidder="bidder 0", at=OPENS)
        other = a_bid(notice, "bidder 0", PRICES[1])
        step = lambda: with_commitment(notice, bids, other, bidder="bidder 0", at=OPENS)  # noqa: E731
        assert refusal(step) == "already_bid"

    def test_reveals_only_what_was_committed_to(self) -> None:
        notice = a_notice("uniform")
        signed = a_bid(notice, "bidder 0", PRICES[0])
        bids = with_commitment(notice, Bids(), signed, bidder="bidder 0", at=OPENS)
        other = a_bid(notice, "bidder 0", PRICES[1])
        assert refusal(lambda: with_bid(notice, bids, other, at=CLOSES)) == "not_committed"

    @pytest.mark.parametrize("at", [CLOSES - 1, CLOSES + 60])
    def test_reveals_between_the_close_and_the_end(self, at: int) -> None:
        notice = a_notice("uniform")
        signed = a_bid(notice, "bidder 0", PRICES[0])
        bids = with_commitment(notice, Bids(), signed, bidder="bidder 0", at=OPENS)
        assert refusal(lambda: with_bid(notice, bids, signed, at=at)) == "not_revealing"

    def test_nothing_is_told_before_all_was_revealed(self) -> None:
        notice = a_notice("uniform")
        outcome = outcome_of(notice, sealed_bids(notice, [PRICES[3], PRICES[1]]), moment(CLOSES + 59))
        assert (outcome.phase, outcome.ranking, outcome.seed) == ("revealing", (), None)

    @pytest.mark.parametrize(
        ("changes", "code"),
        [
            ({"amount": PRICES[-1] + 1}, "too_high"),
            ({"amount": PRICES[0] + 1}, "no_price_step"),
            ({"device": bytes(32)}, "other_device"),
            ({"listing": bytes(32)}, "no_machine"),
            ({"renter": bytes(20)}, "no_machine"),
        ],
    )
    def test_a_machine_bids_by_its_own_listing_up_to_the_most(
        self, changes: dict[str, object], code: str
    ) -> None:
        notice = a_notice("reverse")
        signed: SignedBid = a_bid(notice, "bidder 0", **{"amount": PRICES[0], **changes})  # type: ignore[arg-type]
        bids = with_commitment(notice, Bids(), signed, bidder="bidder 0", at=OPENS)
        assert refusal(lambda: with_bid(notice, bids, signed, at=CLOSES)) == code

    def test_a_machine_of_another_kind_does_not_count(self) -> None:
        notice = a_notice("reverse", kind="drill")
        signed = a_bid(notice, "bidder 0", PRICES[0])
        bids = with_commitment(notice, Bids(), signed, bidder="bidder 0", at=OPENS)
        assert refusal(lambda: with_bid(notice, bids, signed, at=CLOSES)) == "other_kind"

    def test_a_signature_of_somebody_else_does_not_count(self) -> None:
        notice = a_notice("english")
        forged = a_bid(notice, "bidder 0").model_copy(
            update={"signature": a_bid(notice, "bidder 1").signature}
        )
        with pytest.raises(SignatureMismatch):
            with_bid(notice, Bids(), forged, at=OPENS)


class TestWorkedExamples:
    """The examples of docs/auctions.md, with its numbers."""

    def test_reverse(self) -> None:
        notice = a_notice("reverse")
        bids = sealed_bids(notice, [138_784, 107_944, 123_364, 77_102], withheld=[3])
        outcome = outcome_of(notice, bids, moment(notice.settled_by))
        assert notice.limit == 154_205
        assert [(one.bidder, one.price) for one in outcome.winners] == [(a_key("bidder 1").identity, 107_944)]
        assert outcome.unrevealed == (a_key("bidder 3").identity,)

    def test_uniform(self) -> None:
        notice = a_notice("uniform", machines=2)
        bids = sealed_bids(notice, [138_784, 123_364, 107_944, 92_523])
        outcome = outcome_of(notice, bids, moment(notice.settled_by))
        assert notice.reserve == 77_102
        assert [(one.amount, one.price) for one in outcome.winners] == [
            (138_784, 107_944), (123_364, 107_944),
        ]  # fmt: skip

    def test_english(self) -> None:
        notice, bids = english(77_102, 107_944)
        late = CLOSES - 10
        low, off = a_bid(notice, "third", 109_486), a_bid(notice, "third", 110_000)
        assert refusal(lambda: with_bid(notice, bids, low, at=late)) == "too_low"
        assert refusal(lambda: with_bid(notice, bids, off, at=late)) == "no_price_step"
        bids = with_bid(notice, bids, a_bid(notice, "third", 111_028), at=late)
        outcome = outcome_of(notice, bids, moment(CLOSES + 20))
        assert (outcome.phase, outcome.ends_at) == ("over", CLOSES + 20)
        assert [one.price for one in outcome.winners] == [111_028]

    def test_dutch(self) -> None:
        notice = a_notice("dutch")
        assert clock_price(notice, OPENS) == 154_205
        assert clock_price(notice, OPENS + 25) == 151_121

    def test_a_winner_that_does_not_sign_loses_it_to_the_next(self) -> None:
        notice, bids = english(PRICES[0], PRICES[20], PRICES[40])
        outcome = outcome_of(notice, bids, moment(notice.settled_by))
        (award,) = awards_of(notice, bids, outcome)
        assert (award.bidder, award.until) == (a_key("bidder 2").identity, CLOSES + 60)
        forfeit = Forfeit(bidder=award.bidder, at=award.until + 5)
        (after,) = awards_of(notice, bids, outcome, [forfeit])
        assert (after.bidder, after.price) == (a_key("bidder 1").identity, PRICES[20])
        assert after.until == forfeit.at + 60
        verify_auction(a_document(notice, bids, forfeits=[forfeit]))

    @pytest.mark.parametrize("seconds_too_late", [0, 1])
    def test_nobody_follows_who_could_not_ask_for_the_start_any_more(self, seconds_too_late: int) -> None:
        notice, bids = english(PRICES[0], PRICES[20])
        outcome = outcome_of(notice, bids, moment(notice.settled_by))
        at = START + START_STEP - notice.award_seconds + seconds_too_late
        forfeit = Forfeit(bidder=a_key("bidder 1").identity, at=at)
        awards = awards_of(notice, bids, outcome, [forfeit], listings=[a_lot(0)])
        assert [award.until for award in awards] == ([] if seconds_too_late else [START + START_STEP])

    def test_nobody_follows_under_a_listing_that_ends_before(self) -> None:
        notice, bids = english(PRICES[0], PRICES[20])
        outcome = outcome_of(notice, bids, moment(notice.settled_by))
        forfeit = Forfeit(bidder=a_key("bidder 1").identity, at=CLOSES + 61)
        lot = a_lot(0)
        ends = lot.document.model_copy(update={"valid_until": CLOSES + 120})
        notice = notice.model_copy(
            update={"lots": (notice.lots[0].model_copy(update={"listing": document_hash(ends)}),)}
        )
        short = lot.model_copy(update={"document": ends})
        assert awards_of(notice, bids, outcome, [forfeit], listings=[short]) == ()
        assert len(awards_of(notice, bids, outcome, [forfeit])) == 1

    def test_no_award_is_taken_away_before_its_end(self) -> None:
        notice, bids = english(PRICES[0])
        outcome = outcome_of(notice, bids, moment(notice.settled_by))
        (award,) = awards_of(notice, bids, outcome)
        forfeit = Forfeit(bidder=award.bidder, at=award.until)
        assert refusal(lambda: awards_of(notice, bids, outcome, [forfeit])) == "forfeited_too_early"

    def test_the_won_amount_becomes_an_offer_on_the_listings_own_agenda(self) -> None:
        listing = a_listing()
        request = a_request(listing=listing, seconds=SECONDS)
        at = int(NOW.timestamp())
        asked = (listing, request, platform_terms(), NOW, bytes(32), "quote-1", PRICES[10])
        offer = won_offer(*asked, until=at + 300)
        assert offer.valid_until == at + 300
        assert won_offer(*asked, until=at + 3_600).valid_until == at + WON_OFFER_SECONDS
        assert offer.max_total == PRICES[10]
        check_won_offer(listing, request, offer, amount=PRICES[10])
        percent = listing.agenda.price[check_sequence(listing, request, [offer])[0][0]]
        assert percent == percent_of(listing, SECONDS, PRICES[10])
        assert refusal(lambda: check_won_offer(listing, request, offer, amount=PRICES[11])) == "not_as_won"


class TestDocument:
    def test_of_an_auction_that_is_not_over_verifies_too(self) -> None:
        notice, bids = english(PRICES[0], PRICES[20])
        assert len(verify_auction(a_document(notice, bids, as_of=OPENS + 5)).checks) == 4

    @pytest.mark.parametrize(
        "changes",
        [
            {"opened_at": OPENS + 1},
            {"listings": ()},
            {"awards": ()},
            {"forfeits": (Forfeit(bidder=a_key("bidder 1").identity, at=CLOSES + 60),)},
            {"as_of": OPENS - 1},
            {"domain": DOMAIN.model_copy(update={"chain_id": 1})},
        ],
    )
    def test_that_was_changed_does_not(self, changes: dict[str, object]) -> None:
        notice, bids = english(PRICES[0], PRICES[20])
        document = a_document(notice, bids).model_copy(update=changes)
        with pytest.raises(RentalError):
            verify_auction(document)
