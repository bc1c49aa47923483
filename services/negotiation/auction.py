"""An auction that is hosted: its signed words, and the rules of opening, bidding and awarding as one value.

Pure: every step takes an auction and a message and returns the next one, the same where it came before.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import datetime

from hireling.auctions.admission import admit_bid, admit_commitment, check_opening
from hireling.auctions.awards import Award, Forfeit, awards_of
from hireling.auctions.bids import Bids, CameBid, CameCommitment, SignedBid, SignedCommitment
from hireling.auctions.document import AuctionDocument
from hireling.auctions.notice import AuctionNotice, SignedNotice
from hireling.auctions.rules import Outcome, clock_price, least_bid, outcome_of
from hireling.rental.documents import document_hash
from hireling.rental.errors import RentalError
from hireling.rental.listing import SignedListing
from hireling.rental.typed_data import Domain
from services.messages.auctions import AuctionView, AwardView
from services.messages.errors import Refused
from services.negotiation.asking import LATEST_START

NO_BIDS = Bids()


@dataclass(frozen=True, kw_only=True)
class Auction:
    """Everything of an auction that was signed and came so far."""

    signed: SignedNotice
    domain: Domain
    opened_at: int
    lots: tuple[SignedListing, ...] = ()
    machines: tuple[SignedListing, ...] = ()
    bids: Bids = NO_BIDS
    forfeits: tuple[Forfeit, ...] = ()
    closed_at: int | None = None

    @property
    def notice(self) -> AuctionNotice:
        """Return its terms."""
        return self.signed.notice

    @property
    def last_came_at(self) -> int:
        """Return when the last message came: what comes later never stands before it, whatever the clocks."""
        times = [one.came_at for one in self.bids.commitments] + [one.came_at for one in self.bids.bids]
        return max(times, default=self.opened_at)

    def outcome(self, now: datetime) -> Outcome:
        """Return what follows from the bids as of `now`."""
        return outcome_of(self.notice, self.bids, now)

    def awards(self, outcome: Outcome) -> tuple[Award, ...]:
        """Return the awards that stand."""
        listings = self.lots or self.machines
        return awards_of(self.notice, self.bids, outcome, self.forfeits, listings=listings)

    def with_commitment(self, signed: SignedCommitment, *, at: int) -> "Auction":
        """Return it with one more sealed bid. Raises Refused."""
        if any(came.signed.commitment == signed.commitment for came in self.bids.commitments):
            return self
        with refusals():
            admit_commitment(self.notice, self.bids, signed, domain=self.domain, at=at)
        came = CameCommitment(signed=signed, came_at=at)
        return self._with(Bids(commitments=(*self.bids.commitments, came), bids=self.bids.bids))

    def with_bid(self, signed: SignedBid, *, at: int, machine: SignedListing | None) -> "Auction":
        """Return it with one more bid, or one that is revealed. Raises Refused."""
        if any(came.signed.bid == signed.bid for came in self.bids.bids):
            return self
        with refusals():
            admit_bid(self.notice, self.bids, signed, domain=self.domain, at=at, listing=machine)
        came = CameBid(signed=signed, came_at=at)
        bids = Bids(commitments=self.bids.commitments, bids=(*self.bids.bids, came))
        machines = self.machines if machine is None else (*self.machines, machine)
        return replace(self._with(bids), machines=machines)

    def document(self, now: datetime) -> AuctionDocument:
        """Return all of it, for anybody to replay.

        What is revealed is told once nobody can reveal any more: else who reveals last knows more.
        """
        outcome = self.outcome(now)
        hides = self.notice.is_sealed and outcome.phase != "over"
        return AuctionDocument(
            domain=self.domain,
            notice=self.signed,
            opened_at=self.opened_at,
            listings=self.lots if hides else self.lots or self.machines,
            bids=Bids(commitments=self.bids.commitments) if hides else self.bids,
            as_of=int(now.timestamp()),
            outcome=outcome,
            forfeits=self.forfeits,
            awards=self.awards(outcome),
        )

    def view(self, now: datetime, *, awards: tuple[AwardView, ...], done: bool) -> AuctionView:
        """Return it as everybody sees it."""
        outcome = self.outcome(now)
        is_sealed = self.notice.is_sealed
        return AuctionView(
            auction=self.signed.auction_id,
            notice=self.signed,
            outcome=outcome,
            came=len(self.bids.commitments if is_sealed else self.bids.bids),
            revealed=len(self.bids.bids),
            next_amount=self._next_amount(now) if outcome.phase == "open" else None,
            awards=awards,
            done=done,
        )

    def _next_amount(self, now: datetime) -> int | None:
        if self.notice.rule == "dutch":
            return clock_price(self.notice, int(now.timestamp()))
        return least_bid(self.notice, self.bids) if self.notice.rule == "english" else None

    def _with(self, bids: Bids) -> "Auction":
        return replace(self, bids=bids)


def opened(
    signed: SignedNotice, lots: tuple[SignedListing, ...], *, domain: Domain, now: datetime
) -> Auction:
    """Return the auction that a notice opens. Raises Refused."""
    at, notice = int(now.timestamp()), signed.notice
    if notice.opens_at < at:
        detail = f"bids would come from {notice.opens_at} on, and it is {at}: nobody knew of it before"
        raise Refused("opens_too_early", detail, opens_at=notice.opens_at)
    latest = int((now + LATEST_START).timestamp())
    if notice.start_at > latest:
        raise Refused("bad_start", f"a rental starts by {latest}, not at {notice.start_at}", latest=latest)
    with refusals():
        check_opening(signed, lots, domain=domain)
    return Auction(signed=signed, domain=domain, opened_at=at, lots=lots)


def name_of(auction: Auction) -> str:
    """Return an auction's id as rows know it."""
    return f"0x{document_hash(auction.notice).hex()}"


@contextmanager
def refusals() -> Iterator[None]:
    """Raise Refused for what the protocol refuses."""
    try:
        yield
    except RentalError as error:
        raise Refused(error.code, error.detail) from error
