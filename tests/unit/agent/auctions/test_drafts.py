"""Notices as the command line makes them, and the award that an owner's agent believes."""

from functools import partial
from typing import cast

import pytest

from hireling.auctions.admission import check_opening
from hireling.auctions.awards import Award
from hireling.auctions.bids import Bids
from hireling.auctions.document import own_award
from hireling.auctions.drafts import Times, let_machines, look_for_machine
from hireling.auctions.notice import Rule, sign_notice
from hireling.rental.errors import AuctionRefused, RentalError
from hireling.rental.quote import QuoteRequest
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
    moment,
    sealed_bids,
    with_bid,
)
from tests.builders import DOMAIN, NOW, OWNER_AGENT_KEY, OWNER_KEY, RENTER_AGENT_KEY, RENTER_KEY, a_key


class TestDrafts:
    @pytest.mark.parametrize("rule", ["english", "dutch", "uniform"])
    def test_of_an_owner_may_be_opened_by_the_owner_itself(self, rule: str) -> None:
        lots = [a_lot(number) for number in range(2 if rule == "uniform" else 1)]
        notice = let_machines(
            cast(Rule, rule), lots, holder=OWNER_KEY.identity, seconds=SECONDS, reserve_percent=80,
            increment=1, times=Times(), now=NOW, salt=bytes(32),
        )  # fmt: skip
        check_opening(sign_notice(OWNER_KEY, DOMAIN, notice), lots, domain=DOMAIN)
        assert (notice.reserve, notice.limit) == (PRICES[30], PRICES[-1])
        assert 0 <= notice.start_at - notice.settled_by < START_STEP

    def test_of_a_renter_may_be_opened_by_its_agent(self) -> None:
        notice = look_for_machine(
            holder=RENTER_AGENT_KEY.identity, renter=RENTER_KEY.identity, kind="appliance",
            seconds=SECONDS, limit=PRICES[-1], times=Times(), now=NOW, salt=bytes(32),
        )  # fmt: skip
        check_opening(sign_notice(RENTER_AGENT_KEY, DOMAIN, notice), [], domain=DOMAIN)

    @pytest.mark.parametrize("award", [10, 300, 3_600])
    def test_start_late_enough_for_the_first_award(self, award: int) -> None:
        notice = look_for_machine(
            holder=RENTER_AGENT_KEY.identity, renter=RENTER_KEY.identity, kind="appliance",
            seconds=SECONDS, limit=PRICES[-1], times=Times(award=award), now=NOW, salt=bytes(32),
        )  # fmt: skip
        check_opening(sign_notice(RENTER_AGENT_KEY, DOMAIN, notice), [], domain=DOMAIN)

    def test_need_a_price_step_from_the_reserve_on(self) -> None:
        lot = a_lot(0)
        nothing = lot.model_copy(
            update={
                "document": lot.document.model_copy(
                    update={"agenda": lot.document.agenda.model_copy(update={"price": (50,)})}
                )
            }
        )
        with pytest.raises(AuctionRefused, match="no price step from 80 %"):
            let_machines(
                "english", [nothing], holder=OWNER_KEY.identity, seconds=SECONDS, reserve_percent=80,
                increment=1, times=Times(), now=NOW, salt=bytes(32),
            )  # fmt: skip


def asking_for(award: Award, **changes: object) -> QuoteRequest:
    """Return the request that takes up an award."""
    told = {"device": award.device, "listing": award.listing, "renter": award.renter,
            "renter_agent": award.agent, "seconds": SECONDS, "start_at": START}  # fmt: skip
    return QuoteRequest.model_validate({**told, **changes})


class TestOwnAward:
    def test_is_of_an_auction_that_the_owners_side_opened(self) -> None:
        notice = a_notice("english")
        bids = with_bid(notice, Bids(), a_bid(notice, "winner", PRICES[9]), at=OPENS)
        document = a_document(notice, bids)
        request, now = asking_for(document.awards[0]), moment(CLOSES)
        award = own_award(document, keys={OWNER_AGENT_KEY.identity}, request=request, now=now)
        assert award.price == PRICES[9]
        with pytest.raises(AuctionRefused, match="no auction of ours"):
            own_award(document, keys={OWNER_KEY.identity}, request=request, now=now)

    @pytest.mark.parametrize(
        ("changes", "code"),
        [
            ({"device": bytes(32)}, "no_award"),
            ({"renter_agent": bytes(20)}, "no_award"),
            ({"renter": bytes(20)}, "no_award"),
            ({"listing": bytes(32)}, "no_award"),
            ({"seconds": SECONDS + 1}, "not_as_won"),
            ({"start_at": START + START_STEP}, "not_as_won"),
        ],
    )
    def test_is_of_exactly_what_is_asked_for(self, changes: dict[str, object], code: str) -> None:
        notice = a_notice("english")
        bids = with_bid(notice, Bids(), a_bid(notice, "winner", PRICES[9]), at=OPENS)
        document = a_document(notice, bids)
        request = asking_for(document.awards[0], **changes)
        with pytest.raises(AuctionRefused) as caught:
            own_award(document, keys={OWNER_AGENT_KEY.identity}, request=request, now=moment(CLOSES))
        assert caught.value.code == code

    def test_stands_until_its_end(self) -> None:
        notice = a_notice("english")
        bids = with_bid(notice, Bids(), a_bid(notice, "winner", PRICES[9]), at=OPENS)
        document = a_document(notice, bids)
        (award,) = document.awards
        take = partial(own_award, document, keys={OWNER_AGENT_KEY.identity}, request=asking_for(award))
        assert take(now=moment(award.until)) == award
        with pytest.raises(AuctionRefused, match="stood until"):
            take(now=moment(award.until + 1))

    def test_is_of_an_auction_in_which_its_agent_bid(self) -> None:
        notice = a_notice("reverse")
        document = a_document(notice, sealed_bids(notice, [PRICES[9], PRICES[5]]))
        (award,) = document.awards
        take = partial(own_award, document, request=asking_for(award), now=moment(notice.settled_by))
        assert take(keys={a_key("bidder 1").identity}).price == PRICES[5]
        with pytest.raises(AuctionRefused):
            take(keys={RENTER_AGENT_KEY.identity})

    def test_is_none_of_a_document_that_does_not_hold(self) -> None:
        notice = a_notice("english")
        bids = with_bid(notice, Bids(), a_bid(notice, "winner", PRICES[9]), at=OPENS)
        document = a_document(notice, bids)
        cheaper = document.awards[0].model_copy(update={"price": PRICES[0]})
        with pytest.raises(RentalError):
            own_award(
                document.model_copy(update={"awards": (cheaper,)}),
                keys={OWNER_AGENT_KEY.identity},
                request=asking_for(cheaper),
                now=moment(CLOSES),
            )
