"""From an auction's end to its winners' agreements: each step is part of the caller's transaction."""

from dataclasses import replace
from datetime import UTC, datetime

from sqlmodel import Session

from hireling.auctions.awards import Award, Forfeit
from hireling.rental.quote import QuoteRequest
from hireling.rental.typed_data import to_hex
from services.chassis.outbox import add_event
from services.messages.errors import Conflict
from services.messages.events.auctions import AuctionClosed, AwardForfeited, AwardMade
from services.messages.negotiation import WonPrice
from services.negotiation import auction_store as store
from services.negotiation.auction import Auction
from services.negotiation.models import AuctionRow, AwardRow
from services.negotiation.session import QuoteSession


def settle(session: Session, row: AuctionRow, *, now: datetime) -> None:
    """Bring an auction to where it stands at `now`: close it, award, pass on what was not signed in time.

    Running it again changes nothing: the row says how far it is, and it is locked.
    """
    auction = store.load(session, row)
    if row.closed_at is None and not _closed(session, row, auction, now=now):
        return
    at = int(now.timestamp())
    for lost in store.awards(session, row.auction):
        if lost.state == store.STANDING and lost.until < at:
            _forfeit(session, row, lost, now=now)
    _look_again(session, row)


def claimed(session: Session, quote: QuoteSession, *, now: datetime) -> QuoteSession:
    """Return a new quote about a machine at auction with the price that its renter won.

    It waits for the owner's offer as long as the award stands. Raises Conflict for somebody else's question.
    """
    device = to_hex(quote.request.device)
    for row in store.awards_for(session, device):
        award = Award.model_validate(row.award, strict=False)
        if row.until >= now.timestamp() and _asks_for(session, row, award, quote.request):
            row.quote_id = quote.quote_id
            won = WonPrice(auction=bytes.fromhex(row.auction[2:]), amount=award.price)
            return replace(quote, won=won, answer_by=datetime.fromtimestamp(row.until, UTC))
    detail = "an auction lets this device: only who won it may ask, as its notice says"
    raise Conflict("device_at_auction", detail)


def require_standing(session: Session, quote: QuoteSession, *, now: datetime) -> None:
    """Raise Conflict where a quote carries out an award that its winner has lost."""
    if quote.won is None:
        return
    row = store.award_of_quote(session, quote.quote_id)
    if row is None or row.state != store.STANDING or row.until < now.timestamp():
        raise Conflict("award_lost", "this was not agreed within the time that its winner had")


def note_agreed(session: Session, quote: QuoteSession) -> None:
    """Note that a winner has its agreement: its machine is let."""
    row = None if quote.won is None else store.award_of_quote(session, quote.quote_id)
    auction = None if row is None else store.find_locked(session, row.auction)
    if row is None or auction is None:
        return
    row.state = store.AGREED
    store.release(session, row.auction, device=row.device)
    _look_again(session, auction)


def _closed(session: Session, row: AuctionRow, auction: Auction, *, now: datetime) -> bool:
    """Draw the outcome once all bids are in; return False where they are not."""
    outcome = auction.outcome(now)
    row.due_at = outcome.settles_at
    if outcome.phase != "over":
        return False
    row.closed_at = int(now.timestamp())
    name = bytes.fromhex(row.auction[2:])
    add_event(session, AuctionClosed(auction=name, outcome=outcome), now=now)
    for award in auction.awards(outcome):
        _award(session, row, award, now=now)
    return True


def _forfeit(session: Session, row: AuctionRow, lost: AwardRow, *, now: datetime) -> None:
    lost.state = store.FORFEITED
    bidder = bytes.fromhex(lost.bidder[2:])
    forfeit = Forfeit(bidder=bidder, at=int(now.timestamp()))
    row.forfeits = [*row.forfeits, forfeit.model_dump(mode="json")]
    name = bytes.fromhex(row.auction[2:])
    add_event(session, AwardForfeited(auction=name, bidder=bidder), now=now)
    if row.rule == "reverse":
        store.release(session, row.auction, device=lost.device)
    session.flush()
    auction = store.load(session, row)
    known = {one.bidder for one in store.awards(session, row.auction)}
    for award in auction.awards(auction.outcome(now)):
        if to_hex(award.bidder) not in known:
            _award(session, row, award, now=now)


def _award(session: Session, row: AuctionRow, award: Award, *, now: datetime) -> None:
    store.add_award(session, row.auction, award)
    made = AwardMade(auction=bytes.fromhex(row.auction[2:]), award=award)
    add_event(session, made, now=now)


def _look_again(session: Session, row: AuctionRow) -> None:
    """Note when the next award ends; where none stands any more, the auction is done."""
    session.flush()
    ends = [one.until for one in store.awards(session, row.auction) if one.state == store.STANDING]
    row.due_at = min(ends) + 1 if ends else None
    if not ends:
        store.release(session, row.auction)


def _asks_for(session: Session, row: AwardRow, award: Award, request: QuoteRequest) -> bool:
    found = store.find(session, row.auction)
    if found is None:
        return False
    notice = store.load(session, found).notice
    asked = (request.renter_agent, request.renter, request.listing, request.seconds, request.start_at)
    won = (award.agent, award.renter, award.listing, notice.seconds, notice.start_at)
    return asked == won and request.budget is None
