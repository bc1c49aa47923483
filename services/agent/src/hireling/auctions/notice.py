"""What an auction is about, and by which rule: signed by whoever holds it, before anybody bids."""

from collections.abc import Callable, Mapping
from itertools import pairwise
from typing import ClassVar, Literal, Self

from pydantic import Field, model_validator

from hireling.rental.documents import document_hash
from hireling.rental.signing import Signer, sign, verify
from hireling.rental.table import START_STEP
from hireling.rental.typed_data import (
    Bytes32,
    Document,
    Domain,
    HexBytes,
    KeyBytes,
    SignerBytes,
    TypedData,
    Uint32,
    Uint40,
    Uint96,
    digest,
)

Rule = Literal["reverse", "dutch", "english", "uniform"]
# In these a bid is hidden until all have come: first its hash, then itself.
SEALED: frozenset[Rule] = frozenset({"reverse", "uniform"})
MOST_LOTS = 64
MOST_PRICES = 100
# An award has to be asked for, offered and signed by both sides within this.
SHORTEST_AWARD_SECONDS = 10
LONGEST_AWARD_SECONDS = 3_600


class Lot(Document):
    """A machine, and the listing under which it is let."""

    device: Bytes32
    listing: Bytes32


class AuctionNotice(Document):
    """The terms of an auction. Amounts in base units, times in Unix seconds.

    An amount is what ``seconds`` of use cost at worst, fee and tax inside; the deposit is the listing's and
    comes on top. In a reverse auction the holder is a renter's agent, it looks for a machine of ``kind`` and
    pays at most ``prices``, which is one amount. In the others the holder is ``lots``' owner or its agent,
    and ``prices`` are the amounts that may be bid, ascending: the first is the reserve.

    Bids come from ``opens_at`` on and before ``closes_at``. Sealed ones are opened in the
    ``reveal_seconds`` after that; the Dutch clock stands ``step_seconds`` at each price; an English bid
    exceeds the best by ``increment``, and one within ``extension_seconds`` of the end moves the end so far
    behind itself, up to ``latest_close``. A winner has ``award_seconds``.
    """

    rule: Rule
    holder: KeyBytes
    renter: SignerBytes | None = None
    kind: str | None = Field(default=None, pattern=r"^[a-z0-9][a-z0-9-]{0,31}$")
    lots: tuple[Lot, ...] = Field(default=(), max_length=MOST_LOTS)
    prices: tuple[Uint96, ...] = Field(min_length=1, max_length=MOST_PRICES)
    seconds: Uint32
    start_at: Uint40
    opens_at: Uint40
    closes_at: Uint40
    reveal_seconds: Uint32 = 0
    step_seconds: Uint32 = 0
    increment: Uint96 = 0
    extension_seconds: Uint32 = 0
    latest_close: Uint40 | None = None
    award_seconds: Uint32
    salt: Bytes32

    @model_validator(mode="after")
    def _check(self) -> Self:
        if self.seconds == 0 or self.opens_at >= self.closes_at:
            raise ValueError("an auction is open for no time, or about none")
        if any(lower >= higher for lower, higher in pairwise(self.prices)):
            raise ValueError("the prices do not ascend")
        if len({lot.device for lot in self.lots}) != len(self.lots):
            raise ValueError("a machine is in it twice")
        if not SHORTEST_AWARD_SECONDS <= self.award_seconds <= LONGEST_AWARD_SECONDS:
            raise ValueError(f"a winner has {SHORTEST_AWARD_SECONDS} to {LONGEST_AWARD_SECONDS} s")
        if self.start_at % START_STEP:
            raise ValueError(f"the start is no multiple of {START_STEP} s")
        self._check_unused()
        _CHECKS[self.rule](self)
        return self

    @property
    def is_sealed(self) -> bool:
        """Return whether bids are hidden until all have come."""
        return self.rule in SEALED

    @property
    def reserve(self) -> int:
        """Return the least that may be bid where renters bid."""
        return self.prices[0]

    @property
    def limit(self) -> int:
        """Return the most that may be bid."""
        return self.prices[-1]

    @property
    def winners(self) -> int:
        """Return how many win at most: one for each machine that is let, and one machine that is hired."""
        return len(self.lots) or 1

    @property
    def settled_by(self) -> int:
        """Return the Unix second at which the outcome is certain at the latest."""
        return (self.latest_close or self.closes_at) + self.reveal_seconds

    def _check_unused(self) -> None:
        """Raise ValueError for a term that this rule knows nothing of: it would say what nobody heeds."""
        own = {*_OWN_TERMS[self.rule]}
        for name in ("renter", "kind", "reveal_seconds", "step_seconds", "increment", "extension_seconds",
                     "latest_close"):  # fmt: skip
            if name not in own and getattr(self, name):
                raise ValueError(f"{name} says nothing in a {self.rule} auction")


class AuctionTerms(TypedData):
    """What the holder signs of a notice."""

    signed_as: ClassVar[str | None] = "Auction"
    document: Bytes32
    closes_at: Uint40


class SignedNotice(Document):
    """A notice and its holder's signature."""

    notice: AuctionNotice
    signature: HexBytes

    @property
    def auction_id(self) -> bytes:
        """Return the auction's name: the hash of its notice."""
        return document_hash(self.notice)

    def check(self, domain: Domain) -> None:
        """Raise SignatureMismatch unless the holder signed this notice in this domain."""
        verify(self.notice.holder, digest(domain, _terms_of(self.notice)), self.signature)


def sign_notice(key: Signer, domain: Domain, notice: AuctionNotice) -> SignedNotice:
    """Return the notice signed by its holder's key."""
    return SignedNotice(notice=notice, signature=sign(key, domain, _terms_of(notice)))


def _terms_of(notice: AuctionNotice) -> AuctionTerms:
    return AuctionTerms(document=document_hash(notice), closes_at=notice.closes_at)


_OWN_TERMS: Mapping[Rule, tuple[str, ...]] = {
    "reverse": ("renter", "kind", "reveal_seconds"),
    "uniform": ("reveal_seconds",),
    "dutch": ("step_seconds",),
    "english": ("increment", "extension_seconds", "latest_close"),
}


def _check_reverse(notice: AuctionNotice) -> None:
    if notice.renter is None or notice.lots or len(notice.prices) != 1 or not notice.reveal_seconds:
        raise ValueError("a reverse auction names a renter, one price, time to reveal, and no machine")


def _check_uniform(notice: AuctionNotice) -> None:
    if not notice.lots or not notice.reveal_seconds:
        raise ValueError("a uniform auction names machines, and time to reveal")


def _check_dutch(notice: AuctionNotice) -> None:
    if len(notice.lots) != 1 or not notice.step_seconds:
        raise ValueError("a Dutch auction names one machine, and how long the clock stands at a price")
    if notice.closes_at != notice.opens_at + len(notice.prices) * notice.step_seconds:
        raise ValueError("a Dutch auction closes when the clock has stood at its last price")


def _check_english(notice: AuctionNotice) -> None:
    if len(notice.lots) != 1 or not notice.increment:
        raise ValueError("an English auction names one machine, and an increment")
    if notice.latest_close is None or notice.latest_close < notice.closes_at:
        raise ValueError("an English auction says when it closes at the latest")


_CHECKS: Mapping[Rule, Callable[[AuctionNotice], None]] = {
    "reverse": _check_reverse,
    "uniform": _check_uniform,
    "dutch": _check_dutch,
    "english": _check_english,
}
