"""From the notice of an auction to its winners' agreements, all over HTTP."""

from typing import Any

from hireling.auctions.bids import SignedBid, seal
from hireling.auctions.document import AuctionDocument, verify_auction
from hireling.auctions.steps import won_offer
from hireling.rental.documents import document_hash
from hireling.rental.listing import SignedListing
from hireling.rental.offer import QuoteRequest, sign_offer
from hireling.rental.signing import keccak256
from tests.auctions import CLOSES, OPENS, PRICES, SECONDS, START, a_bid, a_notice, lots_of, signed_notice
from tests.builders import DOMAIN, OWNER_AGENT_KEY, a_key, platform_terms
from tests.fakes.actors import DeviceActor, RenterActor
from tests.fakes.front import Front

Json = dict[str, Any]


def test_three_renters_want_two_machines_and_pay_one_price(front: Front) -> None:
    machines = [front.device, DeviceActor(clock=front.clock, meter=a_key("other meter"))]
    listings = [front.offer_for_hire(machine) for machine in machines]
    notice = a_notice("uniform", lots=lots_of(listings), prices=PRICES[20:])
    auction = posted(front, "/v1/auctions", signed_notice(notice))["auction"]
    assert auction == f"0x{document_hash(notice).hex()}"
    assert [item["auction"] for item in front.get("/v1/auctions?rule=uniform&live_only=true")["items"]] == [
        auction
    ]

    renters = [RenterActor(clock=front.clock, name=name) for name in ("first", "second", "third")]
    bids = [
        a_bid(notice, f"{renter.name}'s agent", amount, renter=renter.wallet.identity)
        for renter, amount in zip(renters, (PRICES[45], PRICES[25], PRICES[35]), strict=True)
    ]
    go_to(front, machines, OPENS)
    for renter, bid in zip(renters, bids, strict=True):
        posted(front, f"/v1/auctions/{auction}/commitments", seal(renter.session_key, DOMAIN, bid.bid))
    go_to(front, machines, CLOSES)
    for bid in bids:
        posted(front, f"/v1/auctions/{auction}/bids", bid)
    go_to(front, machines, notice.settled_by)
    front.platform.wait_until(lambda: len(front.get(f"/v1/auctions/{auction}")["awards"]) == 2, timeout=20.0)
    awards = front.get(f"/v1/auctions/{auction}")["awards"]
    assert {award["award"]["price"] for award in awards} == {str(PRICES[25])}
    winners = {bids[0].bid.bidder: renters[0], bids[2].bid.bidder: renters[2]}
    agreed = {
        sign(front, award["award"], listings=listings, machines=machines, winners=winners) for award in awards
    }
    assert len(agreed) == 2
    for rental_id in agreed:
        signed = front.get(f"/v1/agreements/{rental_id}")
        assert signed["agreement"]["pay"]["max_total"] == str(PRICES[25])

    view = front.get(f"/v1/auctions/{auction}")
    assert (view["done"], {award["state"] for award in view["awards"]}) == (True, {"agreed"})
    plain = front.get(f"/v1/auctions/{auction}/document")
    document = AuctionDocument.model_validate(plain, strict=False)
    assert verify_auction(document).checks[-1].endswith("over, 2 won")


def sign(
    front: Front,
    award: Json,
    *,
    listings: list[SignedListing],
    machines: list[DeviceActor],
    winners: dict[bytes, RenterActor],
) -> str:
    """Carry an award to an agreement that both sides signed; return its id."""
    number = next(n for n, machine in enumerate(machines) if machine.device == award["device"])
    listing, renter = listings[number].document, winners[bytes.fromhex(award["bidder"][2:])]
    quote = posted(front, "/v1/quotes", renter.question(listing, seconds=SECONDS, start_at=START))
    (waiting,) = front.get(f"/v1/devices/{award['device']}/work")["quotes"]
    request = QuoteRequest.model_validate(waiting["request"], strict=False)
    offer = won_offer(
        listing, request, platform_terms(), front.clock.now(), keccak256(award["device"].encode()),
        quote["quote_id"], int(waiting["won"]["amount"]),
        until=int(award["until"]),
    )  # fmt: skip
    posted(front, f"/v1/quotes/{quote['quote_id']}/offers", sign_offer(OWNER_AGENT_KEY, offer))
    posted(front, "/v1/agreements", machines[number].signature(offer))
    return str(posted(front, "/v1/agreements", renter.signature(offer))["rental_id"])


def test_a_late_bid_is_a_problem_with_its_code(front: Front) -> None:
    notice = a_notice("uniform", lots=lots_of([front.offer_for_hire()]), prices=PRICES[20:])
    auction = posted(front, "/v1/auctions", signed_notice(notice))["auction"]
    bid: SignedBid = a_bid(notice, "late", PRICES[20])
    go_to(front, [front.device], CLOSES)
    path = f"/v1/auctions/{auction}/commitments"
    answer = front.post(path, seal(a_key("late"), DOMAIN, bid.bid))
    assert (answer.status_code, answer.json["code"]) == (403, "not_open")  # type: ignore[index]
    nothing = "0x" + "00" * 32
    assert front.client.get(f"/v1/auctions/{nothing}").status_code == 404


def posted(front: Front, path: str, body: Any) -> Json:
    """POST JSON that must be taken."""
    answer = front.post(path, body)
    assert answer.status_code == 200, answer.text
    found: Json = answer.json  # type: ignore[assignment]
    return found


def go_to(front: Front, machines: list[DeviceActor], at: int) -> None:
    """Move the clock to a Unix second; the machines give a sign of life."""
    front.clock.advance(seconds=at - int(front.clock.now().timestamp()))
    for machine in machines:
        front.post(f"/v1/devices/{machine.device}/heartbeats", machine.heartbeat())
