"""Who has which machine in the end: winners that do not sign in time lose it to the next in the ranking."""

from collections.abc import Iterable, Sequence

from hireling.auctions.bids import Bids
from hireling.auctions.notice import AuctionNotice
from hireling.auctions.rules import Outcome, Ranked
from hireling.rental.errors import AuctionRefused
from hireling.rental.listing import SignedListing
from hireling.rental.table import START_STEP
from hireling.rental.typed_data import Bytes32, Document, KeyBytes, SignerBytes, Uint40, Uint96, to_hex


class Award(Document):
    """A bidder's right to an agreement at ``price``, up to and including the Unix second ``until``.

    ``agent`` is who asks for the quote: the winner's own, or in a reverse auction the holder.
    """

    bidder: KeyBytes
    device: Bytes32
    listing: Bytes32
    renter: SignerBytes
    agent: KeyBytes
    price: Uint96
    until: Uint40


class Forfeit(Document):
    """An award without an agreement by its end, noticed at a Unix second after it."""

    bidder: KeyBytes
    at: Uint40


def awards_of(
    notice: AuctionNotice,
    bids: Bids,
    outcome: Outcome,
    forfeits: Sequence[Forfeit] = (),
    *,
    listings: Iterable[SignedListing] = (),
) -> tuple[Award, ...]:
    """Return the awards that stand after these forfeits, in order of the lots.

    A forfeited lot goes to the next in the ranking that had none; where nobody is left, nobody has it. Nor
    where an award would outlast its machine's listing, of ``listings``, or the last moment at which the
    notice's start may still be asked for: it would keep everybody else away for nothing.

    Raises AuctionRefused for a forfeit before its award's end, or of nobody's award.
    """
    until = outcome.settles_at + notice.award_seconds
    held: dict[int, Award] = {
        lot: _award(notice, bids, ranked, lot=lot, until=until) for lot, ranked in enumerate(outcome.winners)
    }
    queue = list(outcome.ranking[outcome.won :])
    latest = last_asked_at(notice)
    good_until = {listing.hash: listing.document.valid_until for listing in listings} if forfeits else {}
    for forfeit in forfeits:
        lot = _lot_of(held.items(), forfeit)
        del held[lot]
        until = forfeit.at + notice.award_seconds
        for ranked in queue:
            award = _award(notice, bids, ranked, lot=lot, until=until)
            if until <= min(latest, good_until.get(award.listing, latest)):
                queue.remove(ranked)
                held[lot] = award
                break
    return tuple(held[lot] for lot in sorted(held))


def last_asked_at(notice: AuctionNotice) -> int:
    """Return the last Unix second at which a quote for the notice's start may be asked for."""
    return notice.start_at + START_STEP


def _lot_of(held: Iterable[tuple[int, Award]], forfeit: Forfeit) -> int:
    for lot, award in held:
        if award.bidder == forfeit.bidder:
            if forfeit.at <= award.until:
                raise AuctionRefused(
                    "forfeited_too_early", f"an award until {award.until} was taken away at {forfeit.at}"
                )
            return lot
    raise AuctionRefused("nothing_to_forfeit", f"{to_hex(forfeit.bidder)} has no award")


def _award(notice: AuctionNotice, bids: Bids, ranked: Ranked, *, lot: int, until: int) -> Award:
    bid = bids.best_of(ranked.bidder)
    if notice.rule == "reverse":
        device, listing = (bid.device, bid.listing) if bid else (None, None)
        renter, agent = notice.renter, notice.holder
    else:
        device, listing = notice.lots[lot].device, notice.lots[lot].listing
        renter, agent = bid.renter if bid else None, ranked.bidder
    return Award.model_validate(
        {"bidder": ranked.bidder, "device": device, "listing": listing, "renter": renter, "agent": agent,
         "price": ranked.price, "until": until}
    )  # fmt: skip
