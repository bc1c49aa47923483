"""Who wins and what it costs, by each of the four rules: pure functions of what came.

A sealed auction's ties go by a seed that all revealed salts make. Each was committed to before any of them
was known, so nobody chose it; who withholds a salt withholds its bid with it.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import datetime
from typing import Literal

from hireling.auctions.bids import Bid, Bids
from hireling.auctions.notice import AuctionNotice, Rule
from hireling.rental.documents import document_hash
from hireling.rental.hashing import keccak256
from hireling.rental.typed_data import Bytes32, Document, KeyBytes, Uint40, Uint96

Phase = Literal["announced", "open", "revealing", "over"]


class Ranked(Document):
    """A bidder's place: its bid's hash, what it bid, and what it would have to pay, or be paid."""

    bidder: KeyBytes
    bid: Bytes32
    amount: Uint96
    price: Uint96


class Outcome(Document):
    """What follows from the bids.

    ``ranking`` has every bidder with a bid that counts, best first: the first ``won`` of them win, and the
    others follow where a winner does not sign. A sealed auction has none before it is over.
    """

    auction: Bytes32
    phase: Phase
    ends_at: Uint40
    settles_at: Uint40
    won: int
    ranking: tuple[Ranked, ...]
    unrevealed: tuple[KeyBytes, ...] = ()
    seed: Bytes32 | None = None

    @property
    def winners(self) -> tuple[Ranked, ...]:
        """Return who wins."""
        return self.ranking[: self.won]


def outcome_of(notice: AuctionNotice, bids: Bids, now: datetime) -> Outcome:
    """Return what follows from the bids as of ``now``; they were admitted (see ``admission``)."""
    at = int(now.timestamp())
    ends_at = bidding_ends(notice, bids)
    settles_at = ends_at + notice.reveal_seconds
    phase = _phase(notice, at=at, ends_at=ends_at, settles_at=settles_at)
    auction = document_hash(notice)
    is_told = phase == "over" or not notice.is_sealed
    ranking = _RANKINGS[notice.rule](notice, bids) if is_told else ()
    return Outcome(
        auction=auction,
        phase=phase,
        ends_at=ends_at,
        settles_at=settles_at,
        won=min(len(ranking), notice.winners) if phase == "over" else 0,
        ranking=ranking,
        unrevealed=_unrevealed(bids) if phase == "over" else (),
        seed=seed_of(auction, bids.plain()) if phase == "over" and notice.is_sealed else None,
    )


def bidding_ends(notice: AuctionNotice, bids: Bids) -> int:
    """Return the Unix second from which on no bid comes in any more, as far as the bids so far say."""
    if notice.rule == "dutch" and bids.bids:
        return bids.bids[0].came_at
    if notice.rule != "english":
        return notice.closes_at
    ends_at = notice.closes_at
    for came in bids.bids:
        ends_at = max(ends_at, came.came_at + notice.extension_seconds)
    return min(ends_at, notice.latest_close or ends_at)


def clock_price(notice: AuctionNotice, at: int) -> int:
    """Return the price at which a Dutch auction's clock stands at a Unix second while it is open."""
    passed = (at - notice.opens_at) // notice.step_seconds
    return notice.prices[::-1][passed]


def least_bid(notice: AuctionNotice, bids: Bids) -> int:
    """Return the least amount that an English auction takes next."""
    best = bids.highest()
    return notice.reserve if best is None else best.amount + notice.increment


def seed_of(auction: bytes, bids: Iterable[Bid]) -> bytes:
    """Return the seed by which ties go: all revealed salts, whatever the order in which they came."""
    return keccak256(auction + b"".join(sorted(bid.salt for bid in bids)))


def lot_of(seed: bytes, bidder: bytes) -> bytes:
    """Return a bidder's lot among equals: the lower one comes first."""
    return keccak256(seed + bidder)


def _phase(notice: AuctionNotice, *, at: int, ends_at: int, settles_at: int) -> Phase:
    if at < notice.opens_at:
        return "announced"
    if at < ends_at:
        return "open"
    return "revealing" if at < settles_at else "over"


def _reverse(notice: AuctionNotice, bids: Bids) -> tuple[Ranked, ...]:
    """The lowest amount wins, and is what the renter pays at most: first price (docs/adr/0014)."""
    seed = seed_of(document_hash(notice), bids.plain())
    ordered = sorted(bids.plain(), key=lambda bid: (bid.amount, lot_of(seed, bid.bidder)))
    return _ranked(ordered, [bid.amount for bid in ordered])


def _uniform(notice: AuctionNotice, bids: Bids) -> tuple[Ranked, ...]:
    """The highest win a machine each, and all pay the highest bid that lost, or else the reserve.

    Who follows where a winner does not sign pays the same, or its own bid where that is less.
    """
    seed = seed_of(document_hash(notice), bids.plain())
    ordered = sorted(bids.plain(), key=lambda bid: (-bid.amount, lot_of(seed, bid.bidder)))
    lost = ordered[notice.winners :]
    price = lost[0].amount if lost else notice.reserve
    return _ranked(ordered, [min(price, bid.amount) for bid in ordered])


def _dutch(notice: AuctionNotice, bids: Bids) -> tuple[Ranked, ...]:
    """The first who accepted the clock's price has it, for that price."""
    first = list(bids.plain())[:1]
    return _ranked(first, [bid.amount for bid in first])


def _english(notice: AuctionNotice, bids: Bids) -> tuple[Ranked, ...]:
    """The highest bid wins and is paid; every bidder stands by its own highest."""
    highest: dict[bytes, Bid] = {bid.bidder: bid for bid in bids.plain()}
    ordered = sorted(highest.values(), key=lambda bid: -bid.amount)
    return _ranked(ordered, [bid.amount for bid in ordered])


def _ranked(bids: Sequence[Bid], prices: Sequence[int]) -> tuple[Ranked, ...]:
    return tuple(
        Ranked(bidder=bid.bidder, bid=document_hash(bid), amount=bid.amount, price=price)
        for bid, price in zip(bids, prices, strict=True)
    )


def _unrevealed(bids: Bids) -> tuple[bytes, ...]:
    revealed = {bid.bidder for bid in bids.plain()}
    committed = (came.signed.commitment.bidder for came in bids.commitments)
    return tuple(bidder for bidder in committed if bidder not in revealed)


_RANKINGS: Mapping[Rule, Callable[[AuctionNotice, Bids], tuple[Ranked, ...]]] = {
    "reverse": _reverse,
    "uniform": _uniform,
    "dutch": _dutch,
    "english": _english,
}
