"""What bidders sign: a bid, and in a sealed auction its hash first; and all that came, in order."""

from collections.abc import Iterator
from typing import ClassVar

from hireling.rental.documents import document_hash
from hireling.rental.signing import Signer, sign, verify
from hireling.rental.typed_data import (
    Bytes32,
    Document,
    Domain,
    HexBytes,
    KeyBytes,
    SignerBytes,
    TypedData,
    Uint40,
    Uint96,
    digest,
)


class Bid(Document):
    """An amount in base units, for the notice's seconds at worst; what it is all about is in the notice.

    ``bidder`` is the key that signs it. Where machines bid, it is the owner's agent's and ``device`` and
    ``listing`` are named; where renters bid, it is the session key that will ask for the agreement, and
    ``renter`` who will sign that. ``salt`` is 32 random bytes: it hides a sealed bid, and decides ties.
    """

    auction: Bytes32
    bidder: KeyBytes
    amount: Uint96
    renter: SignerBytes | None = None
    device: Bytes32 | None = None
    listing: Bytes32 | None = None
    salt: Bytes32


class BidTerms(TypedData):
    """What is signed of a bid."""

    signed_as: ClassVar[str | None] = "Bid"
    auction: Bytes32
    document: Bytes32


class SignedBid(Document):
    """A bid and its bidder's signature."""

    bid: Bid
    signature: HexBytes

    @property
    def hash(self) -> bytes:
        """Return the hash of the bid: what a commitment carries."""
        return document_hash(self.bid)

    def check(self, domain: Domain) -> None:
        """Raise SignatureMismatch unless the bidder signed this bid in this domain."""
        verify(self.bid.bidder, digest(domain, bid_terms(self.bid)), self.signature)


class Commitment(TypedData):
    """A sealed bid: the hash of the Bid that its bidder will reveal."""

    auction: Bytes32
    bidder: KeyBytes
    bid: Bytes32


class SignedCommitment(Document):
    """A commitment and its bidder's signature."""

    commitment: Commitment
    signature: HexBytes

    def check(self, domain: Domain) -> None:
        """Raise SignatureMismatch unless the bidder signed it in this domain."""
        verify(self.commitment.bidder, digest(domain, self.commitment), self.signature)


class CameBid(Document):
    """A bid, and the Unix second in which it came, by the marketplace's clock."""

    signed: SignedBid
    came_at: Uint40


class CameCommitment(Document):
    """A commitment, and the Unix second in which it came, by the marketplace's clock."""

    signed: SignedCommitment
    came_at: Uint40


class Bids(Document):
    """All that came to an auction and was admitted, in the order in which it came."""

    commitments: tuple[CameCommitment, ...] = ()
    bids: tuple[CameBid, ...] = ()

    def commitment_of(self, bidder: bytes) -> Commitment | None:
        """Return what a bidder has committed itself to."""
        return next((one for one in self._commitments() if one.bidder == bidder), None)

    def best_of(self, bidder: bytes) -> Bid | None:
        """Return a bidder's highest bid."""
        return max((one for one in self.plain() if one.bidder == bidder), key=_amount, default=None)

    def highest(self) -> Bid | None:
        """Return the highest bid, of several the one that came first."""
        return max(self.plain(), key=_amount, default=None)

    def plain(self) -> Iterator[Bid]:
        """Return the bids alone, in order."""
        return (came.signed.bid for came in self.bids)

    def _commitments(self) -> Iterator[Commitment]:
        return (came.signed.commitment for came in self.commitments)


def bid_terms(bid: Bid) -> BidTerms:
    """Return what is signed of a bid."""
    return BidTerms(auction=bid.auction, document=document_hash(bid))


def sign_bid(key: Signer, domain: Domain, bid: Bid) -> SignedBid:
    """Return the bid signed by its bidder's key."""
    return SignedBid(bid=bid, signature=sign(key, domain, bid_terms(bid)))


def seal(key: Signer, domain: Domain, bid: Bid) -> SignedCommitment:
    """Return the commitment to a bid, which is kept and revealed later."""
    commitment = Commitment(auction=bid.auction, bidder=bid.bidder, bid=document_hash(bid))
    return SignedCommitment(commitment=commitment, signature=sign(key, domain, commitment))


def _amount(bid: Bid) -> int:
    return bid.amount
