"""Auctions as they are hosted: opened, bid in, closed in time, carried on to an agreement."""

from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from typing import Any

import pytest
from sqlalchemy import select
from sqlmodel import Session

from hireling.auctions.bids import SignedBid, seal
from hireling.auctions.document import AuctionDocument, verify_auction
from hireling.auctions.notice import AuctionNotice
from hireling.auctions.rules import outcome_of
from hireling.auctions.steps import won_offer
from hireling.rental.documents import document_hash
from hireling.rental.errors import RentalError
from hireling.rental.listing import SignedListing, sign_listing
from hireling.rental.offer import QuoteRequest, SignedOffer, sign_offer
from hireling.rental.signing import keccak256
from services.chassis.database import Database, open_database
from services.chassis.tables import OUTBOX
from services.messages.errors import Conflict, NotFound, Refused
from services.negotiation import auction_store
from services.negotiation.awarding import settle
from tests.auctions import (
    CLOSES,
    OPENS,
    PRICES,
    SECONDS,
    START,
    a_bid,
    a_notice,
    lots_of,
    moment,
    signed_notice,
)
from tests.builders import DOMAIN, NOW, OWNER_AGENT_KEY, a_key, a_listing, a_mandate, platform_terms
from tests.fakes.actors import DeviceActor, RenterActor
from tests.fakes.front import Front

Json = dict[str, Any]
# The owner's mandate allows no less than 70 % of the listed price.
FROM_FLOOR = PRICES[20:]


def to(front: Front, at: int) -> None:
    """Move the clock to a Unix second, and have the machine give a sign of life."""
    front.clock.advance(seconds=at - int(front.clock.now().timestamp()))
    front.call("listing", "heartbeat", front.device.device, front.device.heartbeat())


def opened(front: Front, rule: str = "english", **changes: Any) -> tuple[AuctionNotice, str]:
    """List the machine and open an auction of it; return its notice and name."""
    listing = front.offer_for_hire()
    notice = a_notice(rule, **{"lots": lots_of([listing]), "prices": FROM_FLOOR, **changes})
    front.call("negotiation", "open_auction", signed_notice(notice))
    return notice, name_of(notice)


def name_of(notice: AuctionNotice) -> str:
    """Return an auction's id as it travels."""
    return f"0x{document_hash(notice).hex()}"


def renters_bid(notice: AuctionNotice, renter: RenterActor, amount: int) -> SignedBid:
    """Return a renter's bid, by its session key."""
    return a_bid(notice, f"{renter.name}'s agent", amount, renter=renter.wallet.identity)


def closed(front: Front, name: str) -> Json:
    """Wait until an auction was closed by the timer; return it."""
    front.platform.wait_until(
        lambda: bool(front.call("negotiation", "get_auction", name)["awards"]), timeout=20.0
    )
    found: Json = front.call("negotiation", "get_auction", name)
    return found


def question(front: Front, renter: RenterActor) -> Any:
    """Return the question that a winner asks."""
    listing = front.call("listing", "search_listings", {})["items"][0]
    document = front.device.listing(valid_until=int(listing["document"]["valid_until"])).document
    return renter.question(document, seconds=SECONDS, start_at=START)


def offer_of(front: Front, quote: Json, amount: int) -> SignedOffer:
    """Return the owner's agent's offer at the won amount."""
    request = QuoteRequest.model_validate(quote["request"], strict=False)
    listing = front.device.listing(valid_until=int(NOW.timestamp()) + 3_600).document
    now, quote_id = front.clock.now(), quote["quote_id"]
    # Longer than an award, to meet what is said of one that was lost.
    until = int(now.timestamp()) + 120
    asked = (listing, request, platform_terms())
    offer = won_offer(*asked, now, keccak256(b"salt"), quote_id, amount, until=until)
    return sign_offer(OWNER_AGENT_KEY, offer)


def events(front: Front, kind: str) -> list[Json]:
    """Return what the service said of one type."""
    with closing(open_database(front.urls["negotiation"])) as database, database.snapshot() as session:
        query = select(OUTBOX.c.payload).where(OUTBOX.c.type == kind).order_by(OUTBOX.c.id)
        return list(session.execute(query).scalars())


class TestOpen:
    def test_the_same_notice_is_the_same_auction(self, front: Front) -> None:
        notice, name = opened(front)
        again = front.call("negotiation", "open_auction", signed_notice(notice))
        assert again["auction"] == name
        assert len(events(front, "auction_opened")) == 1
        assert [item["auction"] for item in front.call("negotiation", "list_auctions", {})] == [name]

    def test_a_machine_is_at_one_auction_at_a_time(self, front: Front) -> None:
        notice, _ = opened(front)
        other = notice.model_copy(update={"salt": bytes(32)})
        with pytest.raises(Conflict) as caught:
            front.call("negotiation", "open_auction", signed_notice(other))
        assert caught.value.code == "device_at_auction"

    def test_nobody_else_asks_for_a_machine_at_auction(self, front: Front) -> None:
        opened(front)
        with pytest.raises(Conflict) as caught:
            front.call("negotiation", "request_quote", question(front, front.renter))
        assert caught.value.code == "device_at_auction"

    def test_refuses_a_reserve_under_the_owners_floor(self, front: Front) -> None:
        with pytest.raises(Refused) as caught:
            opened(front, prices=PRICES[:19])
        assert caught.value.fields["limit"] == "price_floor"

    def test_refuses_to_open_before_anybody_knows_of_it(self, front: Front) -> None:
        front.offer_for_hire()
        front.clock.advance(seconds=OPENS + 1 - int(NOW.timestamp()))
        with pytest.raises(Refused) as caught:
            front.call("negotiation", "open_auction", signed_notice(a_notice("reverse")))
        assert caught.value.code == "opens_too_early"

    def test_refuses_a_machine_that_is_not_listed(self, front: Front) -> None:
        with pytest.raises(NotFound):
            front.call("negotiation", "open_auction", signed_notice(a_notice("english")))


class TestBid:
    def test_a_repeated_bid_changes_nothing(self, front: Front) -> None:
        notice, name = opened(front)
        to(front, OPENS)
        bid = renters_bid(notice, front.renter, PRICES[20])
        once = front.call("negotiation", "place_bid", name, bid)
        assert front.call("negotiation", "place_bid", name, bid) == once
        assert (once["came"], once["next_amount"]) == (1, str(PRICES[20] + notice.increment))
        assert len(events(front, "bid_came")) == 1

    @pytest.mark.parametrize(
        ("at", "amount", "code"),
        [
            (OPENS - 1, PRICES[20], "not_open"),
            (CLOSES, PRICES[20], "not_open"),
            (OPENS, PRICES[19], "too_low"),
            (OPENS, PRICES[20] + 1, "no_price_step"),
        ],
    )
    def test_refuses_what_the_rule_refuses(self, front: Front, at: int, amount: int, code: str) -> None:
        notice, name = opened(front)
        to(front, at)
        with pytest.raises(Refused) as caught:
            front.call("negotiation", "place_bid", name, renters_bid(notice, front.renter, amount))
        assert caught.value.code == code

    def test_who_accepts_the_falling_clocks_price_has_it_at_once(self, front: Front) -> None:
        notice, name = opened(front, "dutch", closes_at=OPENS + 10 * len(FROM_FLOOR))
        to(front, OPENS + 25)
        standing = front.call("negotiation", "get_auction", name)["next_amount"]
        bid = renters_bid(notice, front.renter, int(standing))
        view = front.call("negotiation", "place_bid", name, bid)
        assert (standing, view["outcome"]["phase"]) == (str(PRICES[-3]), "over")
        assert [award["award"]["price"] for award in view["awards"]] == [standing]


class TestAgreement:
    def test_a_winner_gets_an_agreement_at_its_price(self, front: Front) -> None:
        notice, name = opened(front)
        loser = RenterActor(clock=front.clock, name="loser")
        to(front, OPENS)
        front.call("negotiation", "place_bid", name, renters_bid(notice, loser, PRICES[20]))
        front.call("negotiation", "place_bid", name, renters_bid(notice, front.renter, PRICES[40]))
        to(front, CLOSES)
        (award,) = closed(front, name)["awards"]
        assert award["award"]["price"] == str(PRICES[40])
        with pytest.raises(Conflict) as other:
            front.call("negotiation", "request_quote", question(front, loser))
        assert other.value.code == "device_at_auction"

        quote = front.call("negotiation", "request_quote", question(front, front.renter))
        assert quote["won"] == {"auction": name, "amount": str(PRICES[40])}
        dearer = offer_of(front, quote, PRICES[41])
        with pytest.raises(Refused) as caught:
            front.call("negotiation", "make_offer", quote["quote_id"], dearer)
        assert caught.value.code == "not_as_won"
        offer = offer_of(front, quote, PRICES[40])
        front.call("negotiation", "make_offer", quote["quote_id"], offer)
        with pytest.raises(Refused) as haggling:
            front.call(
                "negotiation", "make_offer", quote["quote_id"], front.renter.counter_offer(offer.offer)
            )
        assert haggling.value.code in {"not_as_won", "off_agenda"}
        agreed = front.agree(offer)
        assert agreed["status"] == "agreed"
        view = front.call("negotiation", "get_auction", name)
        assert (view["done"], view["awards"][0]["state"]) == (True, "agreed")
        signed = front.call("negotiation", "get_agreement", agreed["rental_id"])
        assert signed["agreement"]["pay"]["max_total"] == str(PRICES[40])

    def test_the_document_says_what_the_platform_says(self, front: Front) -> None:
        notice, name = opened(front)
        to(front, OPENS)
        front.call("negotiation", "place_bid", name, renters_bid(notice, front.renter, PRICES[30]))
        to(front, CLOSES)
        view = closed(front, name)
        plain = front.call("negotiation", "get_auction_document", name)
        document = AuctionDocument.model_validate(plain, strict=False)
        verify_auction(document)
        recomputed = outcome_of(document.notice.notice, document.bids, front.clock.now())
        assert recomputed.model_dump(mode="json") == view["outcome"]
        assert [event["outcome"] for event in events(front, "auction_closed")] == [view["outcome"]]
        plain["bids"]["bids"][0]["signed"]["bid"]["amount"] = str(PRICES[29])
        with pytest.raises(RentalError):
            verify_auction(AuctionDocument.model_validate(plain, strict=False))

    def test_a_winner_that_does_not_sign_loses_it_to_the_next(self, front: Front) -> None:
        notice, name = opened(front)
        flighty = RenterActor(clock=front.clock, name="flighty")
        to(front, OPENS)
        front.call("negotiation", "place_bid", name, renters_bid(notice, front.renter, PRICES[20]))
        front.call("negotiation", "place_bid", name, renters_bid(notice, flighty, PRICES[40]))
        to(front, CLOSES)
        closed(front, name)
        quote = front.call("negotiation", "request_quote", question(front, flighty))
        offer = offer_of(front, quote, PRICES[40])
        front.call("negotiation", "make_offer", quote["quote_id"], offer)
        to(front, CLOSES + notice.award_seconds + 1)
        with pytest.raises(Conflict) as late:
            front.agree(offer, renter=flighty)
        assert late.value.code == "award_lost"
        front.platform.wait_until(
            lambda: len(front.call("negotiation", "get_auction", name)["awards"]) == 2, timeout=20.0
        )
        quote = front.call("negotiation", "request_quote", question(front, front.renter))
        assert quote["won"]["amount"] == str(PRICES[20])
        offer = offer_of(front, quote, PRICES[20])
        front.call("negotiation", "make_offer", quote["quote_id"], offer)
        assert front.agree(offer)["status"] == "agreed"
        plain = front.call("negotiation", "get_auction_document", name)
        verify_auction(AuctionDocument.model_validate(plain, strict=False))

    def test_a_machine_is_free_again_once_nobody_is_left(self, front: Front) -> None:
        notice, name = opened(front)
        to(front, CLOSES)
        front.platform.wait_until(
            lambda: bool(front.call("negotiation", "get_auction", name)["done"]), timeout=20.0
        )
        to(front, CLOSES + 1)
        quote = front.call("negotiation", "request_quote", question(front, front.renter))
        assert (quote["won"], notice.rule) == (None, "english")


class TestReverse:
    def test_machines_bid_under_seal_and_the_lowest_is_hired(self, front: Front) -> None:
        notice = a_notice("reverse")
        name = front.call("negotiation", "open_auction", signed_notice(notice))["auction"]
        machines = [machine(front, number) for number in range(3)]
        bids = [
            a_bid(
                notice, f"agent {number}", PRICES[step], device=listing.document.device, listing=listing.hash
            )
            for (number, listing), step in zip(enumerate(machines), (30, 21, 10), strict=True)
        ]
        to_time(front, OPENS)
        for number, bid in enumerate(bids):
            commitment = seal(a_key(f"agent {number}"), DOMAIN, bid.bid)
            view = front.call("negotiation", "commit_bid", name, commitment)
            assert front.call("negotiation", "commit_bid", name, commitment)["came"] == view["came"]
        assert str(PRICES[21]) not in str(front.call("negotiation", "get_auction_document", name)["bids"])
        to_time(front, CLOSES)
        for bid in bids[:2]:
            front.call("negotiation", "place_bid", name, bid)
        with pytest.raises(Refused) as caught:
            front.call("negotiation", "place_bid", name, bids[2])
        assert caught.value.fields["limit"] == "price_floor"
        to_time(front, notice.settled_by)
        view = closed(front, name)
        (award,) = view["awards"]
        assert award["award"]["device"] == f"0x{machines[1].document.device.hex()}"
        assert award["award"]["price"] == str(PRICES[21])
        assert len(view["outcome"]["unrevealed"]) == 1
        plain = front.call("negotiation", "get_auction_document", name)
        verify_auction(AuctionDocument.model_validate(plain, strict=False))


def machine(front: Front, number: int) -> SignedListing:
    """Register and list a machine whose owner's agent has a key of its own."""
    agent, meter = a_key(f"agent {number}"), a_key(f"machine {number}")
    actor = DeviceActor(clock=front.clock, meter=meter)
    mandate = a_mandate(agent_key=agent)
    wish = actor.registration(mandate=mandate, owner_agent=agent.identity)
    front.call("listing", "register_device", wish)
    listing = sign_listing(agent, DOMAIN, a_listing(meter_key=meter, owner_agent=agent.identity))
    front.call("listing", "publish_listing", listing)
    return listing


def to_time(front: Front, at: int) -> None:
    """Move the clock to a Unix second."""
    front.clock.advance(seconds=at - int(front.clock.now().timestamp()))


class TestClosing:
    """The front's own clock stands before the end, so that its timer leaves these to the tests."""

    def test_two_copies_at_once_close_it_once(self, front: Front) -> None:
        name = with_a_bid(front)

        def close(_: int) -> None:
            with closing(open_database(front.urls["negotiation"])) as database:
                database.work(lambda session: settle_row(session, name))

        with ThreadPoolExecutor(4) as pool:
            list(pool.map(close, range(8)))
        assert len(events(front, "auction_closed")) == len(events(front, "award_made")) == 1
        assert len(front.call("negotiation", "get_auction", name)["awards"]) == 1

    def test_dying_between_the_close_and_its_event_leaves_neither(self, front: Front) -> None:
        name = with_a_bid(front)
        with closing(open_database(front.urls["negotiation"])) as database:
            with pytest.raises(KilledError):
                killed_after_closing(database, name)
            assert (front.call("negotiation", "get_auction", name)["awards"], closings(front)) == ([], 0)
            database.work(lambda session: settle_row(session, name))
        assert (len(front.call("negotiation", "get_auction", name)["awards"]), closings(front)) == (1, 1)


class KilledError(Exception):
    """The process is gone."""


def with_a_bid(front: Front) -> str:
    """Return an auction with a bid."""
    notice, name = opened(front)
    to(front, OPENS)
    front.call("negotiation", "place_bid", name, renters_bid(notice, front.renter, PRICES[30]))
    return name


def settle_row(session: Session, name: str) -> None:
    """Close an auction whose time has come."""
    row = auction_store.find_locked(session, name)
    assert row is not None
    settle(session, row, now=moment(CLOSES))


def killed_after_closing(database: Database, name: str) -> None:
    """Close an auction and die before the commit."""
    with database.unit_of_work() as session:
        settle_row(session, name)
        session.flush()
        raise KilledError


def closings(front: Front) -> int:
    """Return how often the end was said."""
    return len(events(front, "auction_closed"))
