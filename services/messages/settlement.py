"""RPC words of the settlement service.

platform_terms() -> PlatformView
anchor_place() -> Announcement                       where daily roots are announced, and in whose name
fund(rental_id, permit) -> RentalView                relays the open; Refused with the contract's reason
submit_close(rental_id, half) -> RentalView          idempotent; two halves of one Close: the chain pays
submit_exit(rental_id, exit) -> RentalView           relays an irrevocable exit
get_rental(rental_id) -> RentalView
list_rentals(query) -> Page[RentalView]
get_refusals(rental_id) -> tuple of Refusal
get_flags(rental_id) -> tuple of FlagView            ascending
get_bill_part(rental_id, offset, length) -> BillPart NotFound until the rental is settled
list_bills(cursor, limit) -> Page[BillSummary]
countersign_bill(rental_id, signature) -> BillSummary idempotent
get_wallet(address) -> WalletView
faucet(address) -> WalletView                        dev chain only, else Refused
withdraw(authorization) -> Relayed                   relays an ERC-3009 transfer
reread(after) -> None                                the logs after this block are read again
money_held(rental_id) -> "none", "open" or "done"    by the confirmed logs, of any rental of the escrow
reconcile(cursor, limit) -> Reconciled               our books against the chain, a page of rentals
"""

from datetime import datetime
from typing import Literal

from pydantic import Field

from hireling.rental.agreement import Agreement
from hireling.rental.close import Close
from hireling.rental.states import State
from hireling.rental.typed_data import Address, Bytes32, HexBytes, Uint40, Uint96, Uint256
from services.messages.message import Message
from services.messages.negotiation import Side

TransactionStatus = Literal["queued", "sent", "mined", "confirmed", "refused", "unknown"]


class TokenView(Message):
    """The token rentals are paid in."""

    address: Address
    symbol: str
    decimals: int


class PlatformView(Message):
    """What an agent must know of this marketplace before it signs anything.

    ``faucet`` is true on a development chain only.
    """

    chain_id: int
    escrow: Address
    registry: Address
    token: TokenView
    fee_bps: int
    fee_to: Address
    arbiter: Address
    bill_signer: HexBytes
    confirmations: int
    faucet: bool
    opens_paused: str | None = None
    """Why no new rental is taken now; None while they are."""


class RelayerView(Message):
    """A relayer: whether it is the one that signs, and since when it does or did; None for the first."""

    number: int
    address: str
    signs: bool
    since: datetime | None


class OpensPause(Message):
    """Since when no new rental is taken, and why."""

    reason: str
    since: datetime


class Permit(Message):
    """An EIP-2612 permit of the renter's tokens to the escrow."""

    value: Uint256
    deadline: Uint256
    signature: HexBytes


class CloseHalf(Message):
    """One side's signature over a Close."""

    close: Close
    by: Side
    signature: HexBytes


class SignedExit(Message):
    """One side's wish to end the lock early."""

    by: Side
    signature: HexBytes


class Transaction(Message):
    """A chain transaction of a rental. ``block`` and ``gas_used`` are None until it is mined."""

    kind: str
    status: TransactionStatus
    hash: Bytes32 | None = None
    block: int | None = None
    gas_used: int | None = None
    reason: str | None = None


class RentalView(Message):
    """A rental as both sides see it.

    Amounts are in the token's base units and cumulative; ``seq`` is the last accepted number. ``fee`` is the
    one on ``claimed``: it waits in the escrow until the rental ends. ``progress`` is another number after
    each step: a state, a half of the close, a transaction that is refused or tried again, the bill, its
    countersignature.
    """

    rental_id: Bytes32
    quote_id: str
    state: State
    version: int
    progress: int
    device: Bytes32
    owner: HexBytes
    renter: HexBytes
    agreement: Agreement
    seq: int | None
    counters: tuple[Uint256, ...]
    amount_due: Uint96
    acknowledged: Uint96
    ceiling: Uint96
    funded: Uint96
    claimed: Uint96
    fee: Uint96
    refund: Uint96
    deadline: datetime | None
    transactions: tuple[Transaction, ...]
    closes_by: tuple[Side, ...] = ()
    refusals: int
    bill: bool
    countersigned: bool
    updated_at: datetime


class FlagView(Message):
    """Something about a reading that looks wrong.

    ``holds`` while the tail is not claimed for it: see docs/plausibility.md.
    """

    seq: int
    code: str
    reason: str
    raised_at: datetime
    cleared_at: datetime | None
    acknowledged: bool
    holds: bool


class RentalQuery(Message):
    """Which rentals; every given field narrows."""

    device: Bytes32 | None = None
    renter: HexBytes | None = None
    state: State | None = None
    open_only: bool = False
    unfinished: bool = Field(default=False, description="open, or billed and not countersigned")
    cursor: str | None = None
    limit: int = Field(default=50, ge=1, le=200)


class BillSummary(Message):
    """A line of the list of bills."""

    rental_id: Bytes32
    device: Bytes32
    total: Uint96
    issued_at: datetime
    countersigned: bool


class BillPart(Message):
    """A part of a bill's JSON, of so many characters in all."""

    text: str
    length: int


class WalletView(Message):
    """What the chain says of an address: tokens held, tokens the escrow owes it, the next permit nonce."""

    address: Address
    balance: Uint256
    credit: Uint256
    nonce: Uint256


class TransferAuthorization(Message):
    """An ERC-3009 transferWithAuthorization of the token, to be relayed."""

    sender: Address
    recipient: Address
    value: Uint256
    valid_after: Uint40
    valid_before: Uint40
    nonce: Bytes32
    signature: HexBytes


class Relayed(Message):
    """A relayed transaction and where it stands."""

    transaction: Transaction


class Difference(Message):
    """A rental of which our books and the escrow differ: what each says, and by how many base units."""

    rental_id: Bytes32
    books: str
    chain: str
    amount: Uint256


class Reconciled(Message):
    """A page of rentals held against the escrow, both as of `block`.

    ``held`` is what the escrow holds for all rentals by our books, ``escrowed`` the tokens that it has: it
    may have more, such as what it owes after a refused transfer. ``next`` is the page after this one.
    """

    block: int
    checked: int
    differences: tuple[Difference, ...]
    held: Uint256
    escrowed: Uint256
    next: str | None
