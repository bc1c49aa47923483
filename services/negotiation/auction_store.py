"""The queries of auctions."""

from collections.abc import Collection, Sequence
from typing import Any

from sqlalchemy import delete
from sqlalchemy.exc import IntegrityError
from sqlmodel import Session, col, select

from hireling.auctions.awards import Award, Forfeit
from hireling.auctions.bids import Bids, CameBid, CameCommitment, SignedBid, SignedCommitment
from hireling.auctions.notice import SignedNotice
from hireling.rental.listing import SignedListing
from hireling.rental.typed_data import Domain, to_hex
from services.messages.auctions import AuctionQuery, AwardView
from services.negotiation.auction import Auction, name_of
from services.negotiation.models import AuctionedDevice, AuctionEntry, AuctionRow, AwardRow

COMMITMENT, BID = "commitment", "bid"
STANDING, AGREED, FORFEITED = "standing", "agreed", "forfeited"


def find(session: Session, auction: str) -> AuctionRow | None:
    """Return an auction's row."""
    return session.get(AuctionRow, auction)


def find_locked(session: Session, auction: str) -> AuctionRow | None:
    """Return an auction's row, kept from other writers until this unit of work ends."""
    statement = select(AuctionRow).where(AuctionRow.auction == auction).with_for_update()
    return session.exec(statement).one_or_none()


def load(session: Session, row: AuctionRow) -> Auction:
    """Return a row's auction with all that came."""
    entries = session.exec(
        select(AuctionEntry).where(AuctionEntry.auction == row.auction).order_by(col(AuctionEntry.number))
    ).all()
    return Auction(
        signed=SignedNotice.model_validate(row.notice, strict=False),
        domain=Domain.model_validate(row.domain, strict=False),
        opened_at=row.opened_at,
        lots=_listings(row.listings),
        machines=_listings([entry.listing for entry in entries if entry.listing is not None]),
        bids=Bids(
            commitments=tuple(_commitment(entry) for entry in entries if entry.kind == COMMITMENT),
            bids=tuple(_bid(entry) for entry in entries if entry.kind == BID),
        ),
        forfeits=tuple(Forfeit.model_validate(each, strict=False) for each in row.forfeits),
        closed_at=row.closed_at,
    )


def add(session: Session, auction: Auction) -> bool:
    """Keep a new auction and hold its machines; return False where one of them is at another auction."""
    row = AuctionRow(
        auction=name_of(auction),
        rule=auction.notice.rule,
        kind=auction.notice.kind or (auction.lots[0].document.kind if auction.lots else None),
        notice=_json(auction.signed),
        domain=_json(auction.domain),
        listings=[_json(listing) for listing in auction.lots],
        opened_at=auction.opened_at,
        forfeits=[],
        due_at=auction.notice.closes_at,
    )
    try:
        with session.begin_nested():
            session.add(row)
            for lot in auction.notice.lots:
                session.add(AuctionedDevice(device=to_hex(lot.device), auction=row.auction))
    except IntegrityError:
        return False
    return True


def add_entry(session: Session, before: Auction, after: Auction) -> int:
    """Keep the one message that came between; return its number."""
    number = len(before.bids.commitments) + len(before.bids.bids)
    came: CameCommitment | CameBid
    if len(after.bids.commitments) > len(before.bids.commitments):
        came, kind = after.bids.commitments[-1], COMMITMENT
        hash_ = came.signed.commitment.bid
    else:
        came, kind = after.bids.bids[-1], BID
        hash_ = came.signed.hash
    machine = after.machines[-1] if len(after.machines) > len(before.machines) else None
    session.add(
        AuctionEntry(
            auction=name_of(after),
            number=number,
            kind=kind,
            hash=to_hex(hash_),
            signed=_json(came.signed),
            listing=None if machine is None else _json(machine),
            came_at=came.came_at,
        )
    )
    return number


def due(session: Session, now: int, *, limit: int) -> Sequence[str]:
    """Return the auctions at which it is time to look, the most overdue first."""
    statement = select(AuctionRow.auction).where(col(AuctionRow.due_at) <= now)
    return session.exec(statement.order_by(col(AuctionRow.due_at)).limit(limit)).all()


def page(session: Session, query: AuctionQuery) -> Sequence[AuctionRow]:
    """Return auctions, newest first, narrowed by whatever is given."""
    statement = select(AuctionRow).order_by(col(AuctionRow.opened_at).desc(), col(AuctionRow.auction))
    if query.rule is not None:
        statement = statement.where(AuctionRow.rule == query.rule)
    if query.kind is not None:
        statement = statement.where(AuctionRow.kind == query.kind)
    if query.live_only:
        statement = statement.where(col(AuctionRow.due_at).is_not(None))
    if query.device is not None:
        held = select(AuctionedDevice.auction).where(AuctionedDevice.device == to_hex(query.device))
        statement = statement.where(col(AuctionRow.auction).in_(held))
    return session.exec(statement.limit(query.limit)).all()


def add_award(session: Session, auction: str, award: Award) -> None:
    """Keep a new award, and hold its machine for it where nothing else does."""
    session.add(
        AwardRow(
            auction=auction,
            bidder=to_hex(award.bidder),
            device=to_hex(award.device),
            award=_json(award),
            until=award.until,
            state=STANDING,
        )
    )
    if session.get(AuctionedDevice, to_hex(award.device)) is None:
        session.add(AuctionedDevice(device=to_hex(award.device), auction=auction))
        session.flush()


def awards(session: Session, auction: str) -> Sequence[AwardRow]:
    """Return an auction's awards, whatever became of them, those that ended first at first."""
    statement = select(AwardRow).where(AwardRow.auction == auction)
    return session.exec(statement.order_by(col(AwardRow.until), col(AwardRow.bidder))).all()


def awards_for(session: Session, device: str) -> Sequence[AwardRow]:
    """Return the standing awards of a machine."""
    statement = select(AwardRow).where(AwardRow.device == device, AwardRow.state == STANDING)
    return session.exec(statement).all()


def award_of_quote(session: Session, quote_id: str) -> AwardRow | None:
    """Return the award that a quote carries out."""
    return session.exec(select(AwardRow).where(AwardRow.quote_id == quote_id)).one_or_none()


def auctioned_among(session: Session, devices: Collection[str]) -> frozenset[str]:
    """Return which of these machines are let by an auction."""
    if not devices:
        return frozenset()
    statement = select(AuctionedDevice.device).where(col(AuctionedDevice.device).in_(devices))
    return frozenset(session.exec(statement))


def release(session: Session, auction: str, *, device: str | None = None) -> None:
    """Let an auction's machines, or one of them, be asked for by everybody again."""
    statement = delete(AuctionedDevice).where(col(AuctionedDevice.auction) == auction)
    if device is not None:
        statement = statement.where(col(AuctionedDevice.device) == device)
    session.execute(statement)


def award_view(row: AwardRow) -> AwardView:
    """Return an award as everybody sees it."""
    told = {"award": row.award, "state": row.state, "quote_id": row.quote_id}
    return AwardView.model_validate(told, strict=False)


def _listings(plain: Sequence[dict[str, Any]]) -> tuple[SignedListing, ...]:
    return tuple(SignedListing.model_validate(each, strict=False) for each in plain)


def _commitment(entry: AuctionEntry) -> CameCommitment:
    signed = SignedCommitment.model_validate(entry.signed, strict=False)
    return CameCommitment(signed=signed, came_at=entry.came_at)


def _bid(entry: AuctionEntry) -> CameBid:
    return CameBid(signed=SignedBid.model_validate(entry.signed, strict=False), came_at=entry.came_at)


def _json(model: Any) -> dict[str, Any]:
    dumped: dict[str, Any] = model.model_dump(mode="json")
    return dumped
