"""RPC words of the negotiation service's auctions.

open_auction(signed_notice) -> AuctionView              idempotent; Refused: rule, machines, mandate, times
commit_bid(auction, signed_commitment) -> AuctionView   idempotent by hash; Refused: late, a second one
place_bid(auction, signed_bid) -> AuctionView           idempotent by hash; Refused: late, too low, mandate
get_auction(auction) -> AuctionView
list_auctions(query) -> tuple of AuctionView            newest first
get_auction_document(auction) -> AuctionDocument
"""

from typing import Literal

from pydantic import Field

from hireling.auctions.awards import Award
from hireling.auctions.notice import Rule, SignedNotice
from hireling.auctions.rules import Outcome
from hireling.rental.typed_data import Bytes32, Uint96
from services.messages.message import Message

AwardState = Literal["standing", "agreed", "forfeited"]


class AwardView(Message):
    """An award, what became of it, and the quote in which its winner asked for the agreement."""

    award: Award
    state: AwardState
    quote_id: str | None = None


class AuctionView(Message):
    """An auction as it stands.

    ``came`` counts commitments, or open bids; ``next_amount`` is the least that an English auction takes, or
    the Dutch clock's price, while it is open. ``done`` says that no award waits any more.
    """

    auction: Bytes32
    notice: SignedNotice
    outcome: Outcome
    came: int
    revealed: int
    next_amount: Uint96 | None = None
    awards: tuple[AwardView, ...] = ()
    done: bool = False


class AuctionQuery(Message):
    """Which auctions; every given field narrows."""

    rule: Rule | None = None
    kind: str | None = Field(default=None, max_length=32, description="of the machine looked for, or let")
    device: Bytes32 | None = Field(default=None, description="a machine that is let")
    live_only: bool = Field(default=False, description="leaves out those that are done")
    limit: int = Field(default=50, ge=1, le=200)
