"""Notices as the command line makes them, and the award that an owner's agent believes."""

from typing import cast

import pytest

from hireling.auctions.admission import check_opening
from hireling.auctions.bids import Bids
from hireling.auctions.document import own_award
from hireling.auctions.drafts import Times, let_machines, look_for_machine
from hireling.auctions.notice import Rule, sign_notice
from hireling.rental.errors import AuctionRefused, RentalError
from hireling.rental.table import START_STEP
from tests.auctions import OPENS, PRICES, SECONDS, a_bid, a_document, a_lot, a_notice, sealed_bids, with_bid
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


class TestOwnAward:
    def test_is_of_an_auction_that_the_owners_side_opened(self) -> None:
        notice = a_notice("english")
        bids = with_bid(notice, Bids(), a_bid(notice, "winner", PRICES[9]), at=OPENS)
        document, device = a_document(notice, bids), notice.lots[0].device
        winner = a_key("winner").identity
        award = own_award(document, keys={OWNER_AGENT_KEY.identity}, device=device, agent=winner)
        assert award.price == PRICES[9]
        for keys, asking in (({OWNER_KEY.identity}, winner), ({OWNER_AGENT_KEY.identity}, bytes(20))):
            with pytest.raises(AuctionRefused, match="no auction of ours"):
                own_award(document, keys=keys, device=device, agent=asking)

    def test_is_of_an_auction_in_which_its_agent_bid(self) -> None:
        notice = a_notice("reverse")
        document = a_document(notice, sealed_bids(notice, [PRICES[9], PRICES[5]]))
        (award,) = document.awards
        agent = a_key("bidder 1").identity
        asking = RENTER_AGENT_KEY.identity
        found = own_award(document, keys={agent}, device=award.device, agent=asking)
        assert found.price == PRICES[5]
        with pytest.raises(AuctionRefused):
            own_award(document, keys={RENTER_AGENT_KEY.identity}, device=award.device, agent=asking)

    def test_is_none_of_a_document_that_does_not_hold(self) -> None:
        notice = a_notice("english")
        bids = with_bid(notice, Bids(), a_bid(notice, "winner", PRICES[9]), at=OPENS)
        document = a_document(notice, bids)
        cheaper = document.awards[0].model_copy(update={"price": PRICES[0]})
        with pytest.raises(RentalError):
            own_award(
                document.model_copy(update={"awards": (cheaper,)}),
                keys={OWNER_AGENT_KEY.identity},
                device=cheaper.device,
                agent=a_key("winner").identity,
            )
