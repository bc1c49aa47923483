"""The entrypoints of auctions: open, bid, close in time, and tell."""

from datetime import datetime
from typing import Any

from sqlmodel import Session

from hireling.auctions.admission import check_mandate
from hireling.auctions.bids import SignedBid, SignedCommitment
from hireling.auctions.notice import SignedNotice
from hireling.rental.errors import RentalError
from hireling.rental.listing import SignedListing
from hireling.rental.mandate import SignedMandate
from hireling.rental.typed_data import to_hex
from services.chassis.entrypoints import rpc, timer
from services.chassis.outbox import add_event
from services.chassis.service import Service
from services.messages.auctions import AuctionQuery
from services.messages.errors import Conflict, NotFound
from services.messages.events.auctions import AuctionOpened, BidCame
from services.messages.listing import DeviceView, ListingView
from services.negotiation import auction_store as store
from services.negotiation import mandates
from services.negotiation.auction import Auction, name_of, opened
from services.negotiation.awarding import settle
from services.negotiation.facts import Facts
from services.negotiation.models import AuctionRow
from services.negotiation.session import mandate_refused
from services.negotiation.settings import NegotiationSettings

SETTINGS = NegotiationSettings()
CLOSING_SECONDS = 1.0
CLOSED_AT_ONCE = 50


class Auctioneer(Service):
    """Holds auctions for those who sign their notices."""

    @rpc
    def open_auction(self, signed_notice: dict[str, Any]) -> dict[str, Any]:
        """Open an auction; the same notice again is the same auction.

        Conflict while one of its machines is at another one.
        """
        signed = SignedNotice.model_validate(signed_notice, strict=False)
        name, now = to_hex(signed.auction_id), self.clock.now()
        with self.database.snapshot() as session:
            known = store.find(session, name)
            if known is not None:
                return _view(session, known, now=now)
        facts = Facts(self._call)
        facts.require_opens()
        lots = [self._machine(lot.device, lot.listing) for lot in signed.notice.lots]
        auction = opened(signed, tuple(listing for listing, _ in lots), domain=facts.terms.domain, now=now)
        for listing, mandate in lots:
            for amount in (signed.notice.reserve, signed.notice.limit):
                _check_mandate(mandate, listing, auction, amount=amount, now=now)
        with self.database.unit_of_work() as session:
            for _, mandate in lots:
                mandates.Ledger(session).require_unrevoked(mandate)
            return _view(session, _opened(session, auction, now=now), now=now)

    @rpc
    def commit_bid(self, auction: str, signed_commitment: dict[str, Any]) -> dict[str, Any]:
        """Take a sealed bid; the same one again changes nothing."""
        signed = SignedCommitment.model_validate(signed_commitment, strict=False)
        now = self.clock.now()
        with self.database.unit_of_work() as session:
            row = _found(store.find_locked(session, auction), auction)
            before = store.load(session, row)
            after = before.with_commitment(signed, at=_came_at(before, now))
            _note(session, row, before, after, now=now)
            return _view(session, row, now=now)

    @rpc
    def place_bid(self, auction: str, signed_bid: dict[str, Any]) -> dict[str, Any]:
        """Take a bid, or one that is revealed; the same one again changes nothing."""
        signed = SignedBid.model_validate(signed_bid, strict=False)
        now = self.clock.now()
        with self.database.snapshot() as session:
            here = store.load(session, _found(store.find(session, auction), auction))
        machine, mandate = self._bidding_machine(here, signed)
        with self.database.unit_of_work() as session:
            row = _found(store.find_locked(session, auction), auction)
            before = store.load(session, row)
            after = before.with_bid(signed, at=_came_at(before, now), machine=machine)
            if after is not before and machine is not None and mandate is not None:
                _check_mandate(mandate, machine, after, amount=signed.bid.amount, now=now)
                mandates.Ledger(session).require_unrevoked(mandate)
            _note(session, row, before, after, now=now)
            return _view(session, row, now=now)

    @rpc
    def get_auction(self, auction: str) -> dict[str, Any]:
        """Return an auction as it stands. Raises NotFound."""
        with self.database.snapshot() as session:
            row = _found(store.find(session, auction), auction)
            return _view(session, row, now=self.clock.now())

    @rpc
    def list_auctions(self, query: dict[str, Any]) -> list[dict[str, Any]]:
        """Return auctions, newest first."""
        wanted, now = AuctionQuery.model_validate(query, strict=False), self.clock.now()
        with self.database.snapshot() as session:
            return [_view(session, row, now=now) for row in store.page(session, wanted)]

    @rpc
    def get_auction_document(self, auction: str) -> dict[str, Any]:
        """Return everything of an auction that was signed, and what follows. Raises NotFound."""
        with self.database.snapshot() as session:
            here = store.load(session, _found(store.find(session, auction), auction))
        document = here.document(self.clock.now())
        dumped: dict[str, Any] = document.model_dump(mode="json")
        return dumped

    @timer(interval=CLOSING_SECONDS)
    def close_auctions(self) -> None:
        """Close the auctions whose time has come, and pass on awards that nobody signed."""
        now = self.clock.now()
        with self.database.snapshot() as session:
            due = store.due(session, int(now.timestamp()), limit=CLOSED_AT_ONCE)
        for auction in due:
            self.database.work(lambda session, auction=auction: _settled(session, auction, now=now))  # type: ignore[misc]

    def _bidding_machine(
        self, auction: Auction, signed: SignedBid
    ) -> tuple[SignedListing | None, SignedMandate | None]:
        bid = signed.bid
        if auction.notice.rule != "reverse" or bid.device is None or bid.listing is None:
            return None, None
        return self._machine(bid.device, bid.listing)

    def _machine(self, device: bytes, listing: bytes) -> tuple[SignedListing, SignedMandate]:
        """Return a machine's listing, and its owner's mandate. Raises NotFound."""
        listed = ListingView.model_validate(
            self._call("listing", "get_listing", to_hex(listing)), strict=False
        )
        owned = DeviceView.model_validate(self._call("listing", "get_device", to_hex(device)), strict=False)
        if owned.listing != listing:
            raise Conflict("listing_replaced", "the device offers something else by now")
        return SignedListing(document=listed.document, signature=listed.signature), owned.mandate

    def _call(self, service: str, method: str, *arguments: Any) -> Any:
        return self.remote.call(service, method, *arguments, timeout=SETTINGS.call_seconds)


def _opened(session: Session, auction: Auction, *, now: datetime) -> AuctionRow:
    name = name_of(auction)
    if store.add(session, auction):
        add_event(session, AuctionOpened(auction=auction.signed.auction_id), now=now)
    row = store.find(session, name)
    if row is None:
        raise Conflict("device_at_auction", "one of these machines is at another auction: one at a time")
    return row


def _note(session: Session, row: AuctionRow, before: Auction, after: Auction, *, now: datetime) -> None:
    """Keep what came, and say so; an end that it moved is looked at when it comes, one it made at once."""
    if after is before:
        return
    number = store.add_entry(session, before, after)
    came = after.bids.bids[-1].signed.bid if len(after.bids.bids) > len(before.bids.bids) else None
    bidder = came.bidder if came else after.bids.commitments[-1].signed.commitment.bidder
    add_event(session, BidCame(auction=after.signed.auction_id, bidder=bidder, number=number), now=now)
    session.flush()
    settle(session, row, now=now)


def _settled(session: Session, auction: str, *, now: datetime) -> None:
    row = store.find_locked(session, auction)
    # Another copy may have been here first.
    if row is not None and row.due_at is not None and row.due_at <= now.timestamp():
        settle(session, row, now=now)


def _check_mandate(
    mandate: SignedMandate, listing: SignedListing, auction: Auction, *, amount: int, now: datetime
) -> None:
    try:
        check_mandate(mandate, listing.document, auction.notice, amount=amount, now=now)
    except RentalError as error:
        raise mandate_refused(error) from error


def _came_at(auction: Auction, now: datetime) -> int:
    return max(int(now.timestamp()), auction.last_came_at)


def _found(row: AuctionRow | None, auction: str) -> AuctionRow:
    if row is None:
        raise NotFound("auction_not_found", f"no auction {auction}", auction=auction)
    return row


def _view(session: Session, row: AuctionRow, *, now: datetime) -> dict[str, Any]:
    auction = store.load(session, row)
    awards = tuple(store.award_view(award) for award in store.awards(session, row.auction))
    view = auction.view(now, awards=awards, done=row.closed_at is not None and row.due_at is None)
    dumped: dict[str, Any] = view.model_dump(mode="json")
    return dumped
