"""What the marketplace answers, as far as an agent reads it.

Fields that a newer marketplace adds are ignored.
"""

from datetime import datetime
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from hireling.auctions.awards import Award
from hireling.auctions.notice import SignedNotice
from hireling.auctions.rules import Outcome
from hireling.rental.agreement import Agreement
from hireling.rental.appointment import SignedAppointment
from hireling.rental.listing import ListingDocument
from hireling.rental.money import Token
from hireling.rental.moves import WonPrice
from hireling.rental.offer import PlatformTerms, QuoteRequest, SignedOffer
from hireling.rental.states import State
from hireling.rental.typed_data import Address, Bytes32, HexBytes, KeyBytes, Uint96, Uint256

Side = Literal["owner", "renter"]


class View(BaseModel):
    """The base of what is read from the marketplace."""

    model_config = ConfigDict(frozen=True, extra="ignore")


class TokenView(View):
    """The token that rentals are paid in."""

    address: Address
    symbol: str
    decimals: int


class BrokerView(View):
    """Where readings go."""

    host: str
    port: int
    tls: bool = False


class AccessView(View):
    """A name to enter the broker with, its password, and for how many seconds it is good."""

    model_config = ConfigDict(frozen=True, extra="ignore", hide_input_in_errors=True)

    username: str
    password: str = Field(repr=False)
    seconds: int


class PlatformView(View):
    """The marketplace's own facts."""

    chain_id: int
    escrow: Address
    registry: Address
    token: TokenView
    fee_bps: int
    fee_to: Address
    arbiter: Address
    bill_signer: HexBytes
    mqtt: BrokerView
    rpc_url: str
    confirmations: int
    faucet: bool
    opens_paused: str | None = None
    """Why the marketplace takes no new rental now."""

    @property
    def terms(self) -> PlatformTerms:
        """Return what every offer on this marketplace must carry."""
        return PlatformTerms(
            chain_id=self.chain_id,
            escrow=self.escrow,
            token=self.token.address,
            fee_bps=self.fee_bps,
            fee_to=self.fee_to,
            arbiter=self.arbiter,
        )

    @property
    def money(self) -> Token:
        """Return the token as amounts are spoken of."""
        return Token(
            address=self.token.address,
            symbol=self.token.symbol,
            decimals=self.token.decimals,
            chain_id=self.chain_id,
        )


class DeviceView(View):
    """A device as the marketplace holds it."""

    device: Bytes32
    owner: HexBytes
    registered: bool
    tx_hash: Bytes32 | None = None
    last_seen: datetime | None = None
    listing: Bytes32 | None = None


class ListingView(View):
    """A listing and whether its machine is alive."""

    listing: Bytes32
    document: ListingDocument
    signature: HexBytes
    online: bool
    registered: bool


class QuoteView(View):
    """A bargaining session."""

    quote_id: str
    status: Literal["open", "agreed", "expired", "ended"]
    turn: Literal["owner", "renter", "none"]
    request: QuoteRequest
    offers: tuple[SignedOffer, ...]
    signed_by: tuple[Side, ...] = ()
    rental_id: Bytes32 | None = None
    won: WonPrice | None = None
    appointment: SignedAppointment | None = None
    """Where the platform's delegate speaks for the owner: that it may."""


class DelegateKeyView(View):
    """The key that the marketplace made for a machine's delegate."""

    delegate: KeyBytes


class DelegateMoveView(View):
    """What a delegate did in one of the owner's turns."""

    round: int
    move: str
    code: str | None = None
    reason: str
    made_at: datetime


class DelegateStoryView(View):
    """All that a delegate did in a session; ``story`` is as an agent keeps its own (``decision_log``)."""

    quote_id: str
    moves: tuple[DelegateMoveView, ...]
    story: dict[str, Any] | None = None


class AwardView(View):
    """An auction's award, and what became of it."""

    award: Award
    state: Literal["standing", "agreed", "forfeited"]
    quote_id: str | None = None


class AuctionView(View):
    """An auction as it stands."""

    auction: Bytes32
    notice: SignedNotice
    outcome: Outcome
    came: int
    revealed: int
    next_amount: Uint96 | None = None
    awards: tuple[AwardView, ...] = ()
    done: bool = False


class TransactionView(View):
    """A transaction on the chain that belongs to a rental."""

    kind: str
    status: str
    hash: Bytes32 | None = None
    block: int | None = None
    gas_used: int | None = None
    reason: str | None = None


class RentalView(View):
    """A rental as the marketplace sees it; another ``progress`` means that it went on.

    None from a marketplace of before there were long polls of rentals.
    """

    rental_id: Bytes32
    quote_id: str
    state: State
    progress: int | None = None
    device: Bytes32
    agreement: Agreement
    seq: int | None
    amount_due: Uint96
    acknowledged: Uint96
    funded: Uint96
    claimed: Uint96
    fee: Uint96
    refund: Uint96
    transactions: tuple[TransactionView, ...]
    closes_by: tuple[Side, ...] = ()
    refusals: int
    bill: bool
    countersigned: bool


class WorkView(View):
    """What waits for a device's agent."""

    quotes: tuple[QuoteView, ...]
    rentals: tuple[RentalView, ...]


class WalletView(View):
    """What the chain says of an address."""

    address: Address
    balance: Uint256
    credit: Uint256
    nonce: Uint256


class FlagView(View):
    """Something about a reading that looks wrong; ``holds`` while the tail of the money waits for it."""

    seq: int
    code: str
    reason: str
    acknowledged: bool
    holds: bool


class RefusalView(View):
    """Something that was sent and does not count; a gap is resolved once it is filled."""

    source: str
    seq: int | None
    code: str
    detail: str
    resolved_at: datetime | None = None
