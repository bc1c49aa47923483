"""What bargaining starts from: the marketplace's terms, and a renter's question for a price."""

from hireling.rental.documents import document_hash
from hireling.rental.typed_data import (
    Address,
    Bytes32,
    Document,
    Domain,
    KeyBytes,
    SignerBytes,
    TypedData,
    Uint16,
    Uint32,
    Uint40,
    Uint96,
    Uint256,
    domain_of,
)


class PlatformTerms(Document):
    """What the marketplace fixes for every rental."""

    chain_id: Uint256
    escrow: Address
    token: Address
    fee_bps: Uint16
    fee_to: Address
    arbiter: Address

    @property
    def domain(self) -> Domain:
        """Return the domain in which everything of the rental is signed."""
        return domain_of(self.chain_id, self.escrow)


class QuoteRequest(Document):
    """A renter's question: what does this device cost, under this listing, for so many seconds?

    ``start_at`` is in Unix seconds.

    ``budget`` caps the price in base units, the deposit apart; None for no cap.
    """

    device: Bytes32
    listing: Bytes32
    renter: SignerBytes
    renter_agent: KeyBytes
    seconds: Uint32
    budget: Uint96 | None = None
    start_at: Uint40


class Quote(TypedData):
    """What the renter's agent signs of a QuoteRequest."""

    document: Bytes32


def quote_of(request: QuoteRequest) -> Quote:
    """Return what is signed of a request."""
    return Quote(document=document_hash(request))
