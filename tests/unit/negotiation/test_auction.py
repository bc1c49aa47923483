"""What a hosted auction tells of itself, and when."""

import pytest

from hireling.auctions.bids import Bids
from hireling.auctions.document import verify_auction
from services.negotiation.auction import Auction
from tests.auctions import (
    CLOSES,
    OPENS,
    PRICES,
    a_lot,
    a_notice,
    machine_of,
    moment,
    sealed_bids,
    signed_notice,
)
from tests.builders import DOMAIN


@pytest.mark.parametrize("rule", ["uniform", "reverse"])
def test_no_revealed_bid_is_told_while_others_still_reveal(rule: str) -> None:
    notice = a_notice(rule)
    bids = sealed_bids(notice, [PRICES[3], PRICES[1]])
    machines = [machine_of(f"bidder {number}") for number in range(2)]
    auction = Auction(
        signed=signed_notice(notice),
        domain=DOMAIN,
        opened_at=OPENS,
        lots=(a_lot(0),) if rule == "uniform" else (),
        machines=tuple(machines) if rule == "reverse" else (),
        bids=bids,
    )
    before, after = (auction.document(moment(at)) for at in (notice.settled_by - 1, notice.settled_by))
    assert before.bids == Bids(commitments=bids.commitments)
    assert not {machine.hash for machine in machines} & {listing.hash for listing in before.listings}
    assert after.bids == bids
    for document in (before, after):
        verify_auction(document)
    assert auction.view(moment(CLOSES), awards=(), done=False).revealed == 2
