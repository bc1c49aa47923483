"""An auction in one document, and its replay: anybody can tell that it went by the rules."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from hireling.auctions.admission import admit_bid, admit_commitment, check_opening
from hireling.auctions.awards import Award, Forfeit, awards_of
from hireling.auctions.bids import Bids
from hireling.auctions.notice import AuctionNotice, SignedNotice
from hireling.auctions.rules import Outcome, outcome_of
from hireling.rental.errors import AuctionRefused
from hireling.rental.listing import SignedListing
from hireling.rental.quote import QuoteRequest
from hireling.rental.typed_data import Document, Domain, Uint40


class AuctionDocument(Document):
    """Everything of an auction that was signed, when the marketplace says that it came, and what follows.

    ``listings`` are those of the lots, in order, or those that bids of machines name, in any.
    """

    domain: Domain
    notice: SignedNotice
    opened_at: Uint40
    listings: tuple[SignedListing, ...]
    bids: Bids
    as_of: Uint40
    outcome: Outcome
    forfeits: tuple[Forfeit, ...] = ()
    awards: tuple[Award, ...] = ()


@dataclass(frozen=True)
class AuctionCheck:
    """What was checked, in words."""

    checks: tuple[str, ...]


def verify_auction(document: AuctionDocument) -> AuctionCheck:
    """Replay an auction. Raises a RentalError with the first thing that does not hold.

    Needs no clock and no network. When something came, and that nothing which came was left out, is the
    marketplace's word; everything else is signed, or follows.
    """
    signed, notice = document.notice, document.notice.notice
    lots = () if notice.rule == "reverse" else document.listings
    check_opening(signed, lots, domain=document.domain)
    checks = [f"the holder signed the notice of this {notice.rule} auction"]
    if lots:
        checks.append(f"{len(lots)} machines are the holder's, alike, and cost what may be bid")
    _replay(document)
    if notice.is_sealed:
        checks.append(f"{len(document.bids.commitments)} bidders signed a sealed bid, one each, in time")
    checks.append(f"{len(document.bids.bids)} bids are signed, in time, and such as the rule admits")
    outcome = outcome_of(notice, document.bids, datetime.fromtimestamp(document.as_of, UTC))
    _require(outcome == document.outcome, "other_outcome", "the outcome does not follow from the bids")
    checks.append(f"the outcome follows from them: {outcome.phase}, {outcome.won} won")
    awards = awards_of(notice, document.bids, outcome, document.forfeits, listings=document.listings)
    _require(awards == document.awards, "other_awards", "the awards do not follow from the outcome")
    if document.forfeits:
        checks.append(f"{len(document.forfeits)} winners lost their award after its end, to the next")
    return AuctionCheck(checks=tuple(checks))


def own_award(
    document: AuctionDocument, *, keys: Collection[bytes], request: QuoteRequest, now: datetime
) -> Award:
    """Return the award that a request takes up at ``now``, in an auction that our side took part in.

    ``keys`` are the owner's and its agent's: one of them signed the notice, or the bid that won. Raises as
    verify_auction does, and AuctionRefused where there is no such award.
    """
    verify_auction(document)
    notice = document.notice.notice
    asked = (request.device, request.listing, request.renter, request.renter_agent)
    for award in document.awards:
        ours = award.bidder if notice.rule == "reverse" else notice.holder
        won = (award.device, award.listing, award.renter, award.agent)
        if won == asked and ours in keys:
            _check_asked(notice, award, request, now=now)
            return award
    raise AuctionRefused("no_award", "no auction of ours awards this machine to who asks for it")


def _check_asked(notice: AuctionNotice, award: Award, request: QuoteRequest, *, now: datetime) -> None:
    asked, won = (request.seconds, request.start_at), (notice.seconds, notice.start_at)
    _require(
        asked == won, "not_as_won", f"{won[0]} s from {won[1]} were won, not {asked[0]} s from {asked[1]}"
    )
    at = int(now.timestamp())
    _require(award.until >= at, "award_lost", f"the award stood until {award.until}, and it is {at}")


def _replay(document: AuctionDocument) -> None:
    notice, domain, came = document.notice.notice, document.domain, document.bids
    _require(document.opened_at <= notice.opens_at, "opened_late", "bids came before the notice was known")
    _require_order([one.came_at for one in came.commitments], latest=document.as_of)
    _require_order([one.came_at for one in came.bids], latest=document.as_of)
    for number, commitment in enumerate(came.commitments):
        before = Bids(commitments=came.commitments[:number])
        admit_commitment(notice, before, commitment.signed, domain=domain, at=commitment.came_at)
    listings = {listing.hash: listing for listing in document.listings}
    for number, bid in enumerate(came.bids):
        before = Bids(commitments=came.commitments, bids=came.bids[:number])
        listing = listings.get(bid.signed.bid.listing or b"")
        admit_bid(notice, before, bid.signed, domain=domain, at=bid.came_at, listing=listing)


def _require_order(times: Sequence[int], *, latest: int) -> None:
    ordered = [*times, latest]
    _require(ordered == sorted(ordered), "out_of_order", "something came before what stands ahead of it")


def _require(condition: bool, code: str, detail: str) -> None:  # noqa: FBT001  the condition is the subject
    if not condition:
        raise AuctionRefused(code, detail)
