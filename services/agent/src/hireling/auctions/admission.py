"""What may be opened and what may be bid: one set of rules for hosting an auction and for replaying it."""

from collections.abc import Sequence
from datetime import datetime

from hireling.auctions.awards import last_asked_at
from hireling.auctions.bids import Bids, SignedBid, SignedCommitment
from hireling.auctions.notice import AuctionNotice, SignedNotice
from hireling.auctions.rules import bidding_ends, clock_price, least_bid
from hireling.auctions.steps import percent_of
from hireling.rental.documents import document_hash
from hireling.rental.errors import AuctionRefused, MandateExceeded
from hireling.rental.listing import ListingDocument, SignedListing
from hireling.rental.mandate import SignedMandate
from hireling.rental.tariff import Tariff
from hireling.rental.typed_data import Domain, to_hex

# Each bid is held against all before it; a thousand are replayed in a second.
MOST_BIDS = 1_000


def check_opening(signed: SignedNotice, listings: Sequence[SignedListing], *, domain: Domain) -> None:
    """Raise AuctionRefused unless a notice may be opened; ``listings`` are its lots', in order.

    Raises SignatureMismatch for a signature that is somebody else's. All machines of one auction are alike:
    of one kind, for one price and deposit, and of the holder's owner.
    """
    signed.check(domain)
    notice = signed.notice
    _require(
        [listing.hash for listing in listings] == [lot.listing for lot in notice.lots],
        "other_listing",
        "the listings are not those of the notice",
    )
    for lot, listing in zip(notice.lots, listings, strict=True):
        listing.check(domain)
        _check_lot(notice, lot.device, listing)
    alike = {_likeness(listing) for listing in listings}
    _require(len(alike) <= 1, "machines_differ", "the machines differ in kind, price, deposit or owner")
    _require(
        notice.start_at >= notice.settled_by,
        "starts_too_early",
        f"use starts at {notice.start_at}, and the auction is settled by {notice.settled_by}",
    )
    needed, latest = notice.settled_by + notice.award_seconds, last_asked_at(notice)
    _require(
        needed <= latest,
        "awards_too_long",
        f"an award may stand until {needed}, and that start can be asked for until {latest}",
    )


def admit_commitment(
    notice: AuctionNotice, bids: Bids, signed: SignedCommitment, *, domain: Domain, at: int
) -> None:
    """Raise AuctionRefused unless a sealed bid may come in at this Unix second.

    Raises SignatureMismatch for a signature that is somebody else's.
    """
    commitment = signed.commitment
    _require(notice.is_sealed, "not_sealed", f"in a {notice.rule} auction bids are open")
    _check_auction(notice, commitment.auction)
    signed.check(domain)
    _check_open(notice, bids, at=at)
    known = bids.commitment_of(commitment.bidder)
    _require(known is None, "already_bid", f"{to_hex(commitment.bidder)} has a bid in already")


def admit_bid(
    notice: AuctionNotice,
    bids: Bids,
    signed: SignedBid,
    *,
    domain: Domain,
    at: int,
    listing: SignedListing | None = None,
) -> None:
    """Raise AuctionRefused unless a bid may come in, or be revealed, at this Unix second.

    ``listing`` is the one that a machine's bid names. Raises SignatureMismatch for a signature that is
    somebody else's.
    """
    _check_auction(notice, signed.bid.auction)
    signed.check(domain)
    if notice.rule == "reverse":
        check_machine_bid(notice, signed, listing, domain=domain)
    else:
        _check_renter(notice, signed)
    if notice.is_sealed:
        _check_reveal(notice, bids, signed, at=at)
        return
    _check_open(notice, bids, at=at)
    if notice.rule == "dutch":
        price = clock_price(notice, at)
        _require(signed.bid.amount == price, "not_the_clocks_price", f"the clock stands at {price}")
    else:
        _check_raise(notice, bids, signed)


def check_machine_bid(
    notice: AuctionNotice, signed: SignedBid, listing: SignedListing | None, *, domain: Domain
) -> None:
    """Raise AuctionRefused unless a machine's agent may make this bid, for what this machine offers.

    Raises SignatureMismatch for a listing that is signed by somebody else.
    """
    bid = signed.bid
    if listing is None or bid.device is None or bid.listing != listing.hash or bid.renter is not None:
        raise AuctionRefused("no_machine", "the bid names no machine with a listing, or a renter")
    listing.check(domain)
    document = listing.document
    _require(document.device == bid.device, "other_device", "the listing is another machine's")
    _require(document.owner_agent == bid.bidder, "not_yours", "the bidder is not that machine's agent")
    _require(notice.kind in {None, document.kind}, "other_kind", f"asked for {notice.kind}")
    _check_lasts(notice, listing)
    _require(bid.amount <= notice.limit, "too_high", f"{bid.amount} is above {notice.limit}, the most")
    percent_of(document, notice.seconds, bid.amount)


def check_mandate(
    mandate: SignedMandate, listing: ListingDocument, notice: AuctionNotice, *, amount: int, now: datetime
) -> None:
    """Raise MandateExceeded unless an owner's agent may let its machine for this amount.

    Its other rentals apart: all of it is held against the mandate again when the agreement is signed.
    """
    limits = mandate.limits
    if now.timestamp() > mandate.mandate.valid_until:
        raise MandateExceeded("expired", f"the mandate held until {mandate.mandate.valid_until}")
    percent = percent_of(listing, notice.seconds, amount)
    if percent < limits.price_floor_percent:
        raise MandateExceeded(
            "price_floor", f"{percent} % of the listed price, at least {limits.price_floor_percent} %"
        )
    all_in = amount + listing.deposit
    if all_in > limits.per_rental:
        raise MandateExceeded("per_rental", f"per_rental: {all_in} exceeds {limits.per_rental}")
    if limits.kinds and listing.kind not in limits.kinds:
        raise MandateExceeded("kinds", f"{listing.kind} is none of {', '.join(limits.kinds)}")


def _check_lot(notice: AuctionNotice, device: bytes, listing: SignedListing) -> None:
    document = listing.document
    _require(document.device == device, "other_device", "the listing is another machine's")
    _require(
        notice.holder in {document.owner_agent, document.owner},
        "not_yours",
        "the holder is neither that machine's owner nor its agent",
    )
    _check_lasts(notice, listing)
    for amount in notice.prices:
        percent_of(document, notice.seconds, amount)


def _check_lasts(notice: AuctionNotice, listing: SignedListing) -> None:
    document, needed = listing.document, notice.settled_by + notice.award_seconds
    _require(
        notice.seconds <= document.max_seconds,
        "bad_duration",
        f"{notice.seconds} s, at most {document.max_seconds} s are let",
    )
    _require(
        needed <= document.valid_until,
        "listing_expires",
        f"the listing is good until {document.valid_until}, and needed until {needed}",
    )


def _likeness(listing: SignedListing) -> tuple[str, Tariff, int, bytes]:
    document = listing.document
    return document.kind, document.tariff, document.deposit, document.owner


def _check_renter(notice: AuctionNotice, signed: SignedBid) -> None:
    bid = signed.bid
    _require(bid.renter is not None and bid.device is None and bid.listing is None, "no_renter",
             "the bid names no renter, or a machine")  # fmt: skip
    _require(bid.amount >= notice.reserve, "too_low", f"{bid.amount} is below {notice.reserve}, the reserve")
    _require(bid.amount in notice.prices, "no_price_step", f"{bid.amount} is none of the notice's prices")


def _check_reveal(notice: AuctionNotice, bids: Bids, signed: SignedBid, *, at: int) -> None:
    begins, ends = notice.closes_at, notice.settled_by
    _require(begins <= at < ends, "not_revealing", f"bids are revealed from {begins} on and before {ends}")
    committed = bids.commitment_of(signed.bid.bidder)
    _require(
        committed is not None and committed.bid == signed.hash,
        "not_committed",
        "the bid is not the one that was committed to",
    )
    _require(bids.best_of(signed.bid.bidder) is None, "already_bid", "the bid was revealed already")


def _check_raise(notice: AuctionNotice, bids: Bids, signed: SignedBid) -> None:
    least, best = least_bid(notice, bids), bids.highest()
    _require(signed.bid.amount >= least, "too_low", f"{signed.bid.amount} is below {least}, the least now")
    _require(
        best is None or best.bidder != signed.bid.bidder, "already_leading", "the best bid is yours already"
    )


def _check_open(notice: AuctionNotice, bids: Bids, *, at: int) -> None:
    ends = bidding_ends(notice, bids)
    sold = notice.rule == "dutch" and bool(bids.bids)
    _require(not sold, "already_sold", "somebody accepted the clock's price before")
    came = len(bids.commitments) + len(bids.bids)
    _require(came < MOST_BIDS, "too_many_bids", f"{came} bids came, and no auction takes more")
    _require(notice.opens_at <= at < ends, "not_open", f"bids come from {notice.opens_at} on, before {ends}")


def _check_auction(notice: AuctionNotice, auction: bytes) -> None:
    _require(auction == document_hash(notice), "other_auction", "this is about another auction")


def _require(condition: bool, code: str, detail: str) -> None:  # noqa: FBT001  the condition is the subject
    if not condition:
        raise AuctionRefused(code, detail)
