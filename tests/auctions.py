"""Notices, bids and whole auctions for tests: every argument has a default, and all keys are fixed."""

from collections.abc import Sequence
from datetime import UTC, datetime
from functools import lru_cache
from typing import Any

from hireling.auctions.admission import admit_bid, admit_commitment
from hireling.auctions.awards import Forfeit, awards_of
from hireling.auctions.bids import Bid, Bids, CameBid, CameCommitment, SignedBid, seal, sign_bid
from hireling.auctions.document import AuctionDocument
from hireling.auctions.notice import AuctionNotice, Lot, SignedNotice, sign_notice
from hireling.auctions.rules import outcome_of
from hireling.auctions.steps import steps
from hireling.rental.documents import document_hash
from hireling.rental.listing import ListingDocument, SignedListing, sign_listing
from hireling.rental.signing import keccak256
from tests.builders import DOMAIN, NOW, OWNER_AGENT_KEY, RENTER_AGENT_KEY, RENTER_KEY, a_key, a_listing

OPENS = int(NOW.timestamp()) + 60
CLOSES = OPENS + 300
SECONDS = 600
START = int(NOW.timestamp()) + 1_800
PRICES = tuple(sorted(steps(a_listing(), SECONDS)))


@lru_cache(maxsize=64)
def a_lot(number: int = 0, deposit: int = 10_000) -> SignedListing:
    """Return the signed listing of one of several like machines."""
    document = a_listing(meter_key=a_key(f"meter {number}"), deposit=deposit)
    return sign_listing(OWNER_AGENT_KEY, DOMAIN, document)


def lots_of(listings: Sequence[SignedListing]) -> tuple[Lot, ...]:
    """Return the lots that these listings are."""
    return tuple(Lot(device=listing.document.device, listing=listing.hash) for listing in listings)


def a_notice(rule: str = "english", *, machines: int = 1, **changes: Any) -> AuctionNotice:
    """Return the notice of an auction that opens in a minute and stays open for five."""
    lots = lots_of([a_lot(number) for number in range(machines)])
    common = {"rule": rule, "holder": OWNER_AGENT_KEY.identity, "lots": lots, "prices": PRICES,
              "seconds": SECONDS, "start_at": START, "opens_at": OPENS, "closes_at": CLOSES,
              "award_seconds": 60, "salt": keccak256(b"notice")}  # fmt: skip
    own: dict[str, dict[str, Any]] = {
        "english": {"increment": 2_000, "extension_seconds": 30, "latest_close": CLOSES + 120},
        "dutch": {"step_seconds": 10, "closes_at": OPENS + 10 * len(PRICES)},
        "uniform": {"reveal_seconds": 60},
        "reverse": {"holder": RENTER_AGENT_KEY.identity, "renter": RENTER_KEY.identity, "lots": (),
                    "prices": (PRICES[-1],), "reveal_seconds": 60, "kind": "appliance"},
    }  # fmt: skip
    return AuctionNotice.model_validate(common | own[rule] | changes)


def signed_notice(notice: AuctionNotice) -> SignedNotice:
    """Return the notice signed by its holder."""
    keys = (OWNER_AGENT_KEY, RENTER_AGENT_KEY)
    key = next(key for key in keys if key.identity == notice.holder)
    return sign_notice(key, DOMAIN, notice)


def a_bid(
    notice: AuctionNotice, bidder: str = "bidder", amount: int = PRICES[0], **changes: Any
) -> SignedBid:
    """Return a signed bid, of a renter or, in a reverse auction, of a machine with an agent of its own."""
    key = a_key(bidder)
    if notice.rule == "reverse":
        lot = machine_of(bidder)
        own: dict[str, Any] = {"device": lot.document.device, "listing": lot.hash}
    else:
        own = {"renter": a_key(f"{bidder}'s wallet").identity}
    terms = {"auction": document_hash(notice), "bidder": key.identity, "amount": amount,
             "salt": keccak256(f"salt of {bidder}".encode())}  # fmt: skip
    return sign_bid(key, DOMAIN, Bid.model_validate(terms | own | changes))


@lru_cache(maxsize=64)
def machine_of(bidder: str) -> SignedListing:
    """Return the listing of the machine that bids under this name."""
    document: ListingDocument = a_listing(
        meter_key=a_key(f"{bidder}'s meter"), owner_agent=a_key(bidder).identity
    )
    return sign_listing(a_key(bidder), DOMAIN, document)


def with_bid(notice: AuctionNotice, bids: Bids, signed: SignedBid, *, at: int) -> Bids:
    """Return the bids with one more that was admitted at this second."""
    listing = None
    if notice.rule == "reverse":
        names = (f"bidder {number}" for number in range(20))
        machines = [machine_of(name) for name in ("bidder", *names)]
        listing = next((one for one in machines if one.hash == signed.bid.listing), None)
    admit_bid(notice, bids, signed, domain=DOMAIN, at=at, listing=listing)
    return bids.model_copy(update={"bids": (*bids.bids, CameBid(signed=signed, came_at=at))})


def with_commitment(notice: AuctionNotice, bids: Bids, signed: SignedBid, *, bidder: str, at: int) -> Bids:
    """Return the bids with one more sealed one that was admitted at this second."""
    commitment = seal(a_key(bidder), DOMAIN, signed.bid)
    admit_commitment(notice, bids, commitment, domain=DOMAIN, at=at)
    came = CameCommitment(signed=commitment, came_at=at)
    return bids.model_copy(update={"commitments": (*bids.commitments, came)})


def sealed_bids(
    notice: AuctionNotice, amounts: Sequence[int], *, order: Sequence[int] = (), withheld: Sequence[int] = ()
) -> Bids:
    """Return sealed bids of these amounts, by ``bidder 0`` and so on, that came in this order.

    Those of ``withheld`` are never revealed.
    """
    order = order or range(len(amounts))
    signed = [a_bid(notice, f"bidder {number}", amount) for number, amount in enumerate(amounts)]
    bids = Bids()
    for number in order:
        bids = with_commitment(notice, bids, signed[number], bidder=f"bidder {number}", at=CLOSES - 1)
    for number in order:
        if number not in withheld:
            bids = with_bid(notice, bids, signed[number], at=CLOSES)
    return bids


def moment(at: int) -> datetime:
    """Return the moment of a Unix second."""
    return datetime.fromtimestamp(at, UTC)


def a_document(
    notice: AuctionNotice, bids: Bids, *, as_of: int | None = None, forfeits: Sequence[Forfeit] = ()
) -> AuctionDocument:
    """Return the document of an auction that went by the rules."""
    at = notice.settled_by if as_of is None else as_of
    outcome = outcome_of(notice, bids, moment(at))
    if notice.rule == "reverse":
        named = [came.signed.bid.listing for came in bids.bids]
        listings = [machine_of(f"bidder {number}") for number in range(20)]
        listings = [listing for listing in listings if listing.hash in named]
    else:
        listings = [a_lot(number) for number in range(len(notice.lots))]
    return AuctionDocument(
        domain=DOMAIN,
        notice=signed_notice(notice),
        opened_at=OPENS - 60,
        listings=tuple(listings),
        bids=bids,
        as_of=at,
        outcome=outcome,
        forfeits=tuple(forfeits),
        awards=awards_of(notice, bids, outcome, forfeits, listings=listings),
    )
