"""Events of the negotiation service."""

from typing import ClassVar

from hireling.rental.agreement import SignedAgreement
from hireling.rental.typed_data import Bytes32
from services.messages.event import Event
from services.messages.negotiation import Side


class QuoteRequested(Event):
    """A renter asks a device for its price; it is the owner's turn."""

    source: ClassVar[str] = "negotiation"
    type: ClassVar[str] = "quote_requested"

    quote_id: str
    device: Bytes32

    def key(self) -> str:
        return self.quote_id


class OfferMade(Event):
    """One side put an offer on the table; it is the other side's turn."""

    source: ClassVar[str] = "negotiation"
    type: ClassVar[str] = "offer_made"

    quote_id: str
    device: Bytes32
    round: int

    def key(self) -> str:
        return f"{self.quote_id}:{self.round}"


class AgreementSigned(Event):
    """One side signed the last offer's agreement, alone so far: it waits for the other side's signature."""

    source: ClassVar[str] = "negotiation"
    type: ClassVar[str] = "agreement_signed"

    quote_id: str
    device: Bytes32
    by: Side
    # Of the offer that was signed: a side signs again where a counter-offer made its signature stale.
    round: int | None = None

    def key(self) -> str:
        return f"{self.quote_id}:{self.by}" + ("" if self.round is None else f":{self.round}")


class Agreed(Event):
    """Both sides signed one agreement: a rental exists."""

    source: ClassVar[str] = "negotiation"
    type: ClassVar[str] = "agreed"

    quote_id: str
    rental_id: Bytes32
    signed: SignedAgreement

    def key(self) -> str:
        return f"0x{self.rental_id.hex()}"
