"""What the negotiation service says of its auctions."""

from typing import ClassVar

from hireling.auctions.awards import Award
from hireling.auctions.rules import Outcome
from hireling.rental.typed_data import Bytes32, KeyBytes
from services.messages.event import Event


class AuctionOpened(Event):
    """A notice was taken: bids come from its time on."""

    source: ClassVar[str] = "negotiation"
    type: ClassVar[str] = "auction_opened"

    auction: Bytes32

    def key(self) -> str:
        return f"0x{self.auction.hex()}"


class BidCame(Event):
    """A commitment or a bid was admitted; a sealed one says nothing of its amount."""

    source: ClassVar[str] = "negotiation"
    type: ClassVar[str] = "bid_came"

    auction: Bytes32
    bidder: KeyBytes
    number: int

    def key(self) -> str:
        return f"0x{self.auction.hex()}:{self.number}"


class AuctionClosed(Event):
    """All bids are in, and this is what follows."""

    source: ClassVar[str] = "negotiation"
    type: ClassVar[str] = "auction_closed"

    auction: Bytes32
    outcome: Outcome

    def key(self) -> str:
        return f"0x{self.auction.hex()}"


class AwardMade(Event):
    """A bidder has the right to an agreement, until a moment."""

    source: ClassVar[str] = "negotiation"
    type: ClassVar[str] = "award_made"

    auction: Bytes32
    award: Award

    def key(self) -> str:
        return f"0x{self.auction.hex()}:0x{self.award.bidder.hex()}"


class AwardForfeited(Event):
    """An award ended without an agreement."""

    source: ClassVar[str] = "negotiation"
    type: ClassVar[str] = "award_forfeited"

    auction: Bytes32
    bidder: KeyBytes

    def key(self) -> str:
        return f"0x{self.auction.hex()}:0x{self.bidder.hex()}"
