"""What stands in a path or a query, and the answers that only the gateway gives."""

from http import HTTPStatus
from typing import Any, Literal

from pydantic import BaseModel, Field

from hireling.rental.approval import SignedApproval
from hireling.rental.ceiling import SignedCeiling
from hireling.rental.mandate import SignedRevocation
from hireling.rental.reading import SignedReading
from hireling.rental.states import State
from hireling.rental.typed_data import Address, Bytes32, HexBytes, SignerBytes
from services.gateway.problems import MEDIA_TYPE, Problem
from services.messages.auctions import AuctionView
from services.messages.message import Message
from services.messages.metering import LATEST, LONGEST_STEP, Refusal, UsageStep
from services.messages.negotiation import MOST_MOVES, QuoteView, SessionState
from services.messages.settlement import FlagView, Permit, PlatformView, RentalView

# flask-openapi3's own type for what an operation may answer.
ResponseSpecs = dict[str | int | HTTPStatus, type[BaseModel] | dict[Any, Any] | None]

_PROBLEM: dict[str, object] = {"content": {MEDIA_TYPE: {"schema": {"$ref": "#/components/schemas/Problem"}}}}


def problems() -> ResponseSpecs:
    """Return the errors that every operation may answer with."""
    statuses = ("400", "403", "404", "409", "413", "415", "422", "429", "500", "503", "504")
    return {status: dict(_PROBLEM) for status in statuses}


class DevicePath(Message):
    """A device's id: keccak256 of its meter's key."""

    device: Bytes32


class ListingPath(Message):
    """A listing's hash."""

    listing: Bytes32


class PrincipalPath(Message):
    """An owner or a renter: its account, or another signer's bytes."""

    principal: SignerBytes


class Revocations(Message):
    """What a principal said of its agents."""

    items: tuple[SignedRevocation, ...]


class Approvals(Message):
    """What principals said of one rental."""

    items: tuple[SignedApproval, ...]


class Moves(Message):
    """Moves in the order in which they are to be made; each is read on its own, so that none spoils the rest.

    A move is ``{"kind": …, "document": …}``: a ``question`` with a SignedQuoteRequest, an ``offer`` with a
    SignedOffer, or a ``signature`` with an AgreementSignature.
    """

    moves: list[dict[str, Any]] = Field(min_length=1, max_length=MOST_MOVES)


class MadeMove(Message):
    """What came of one move.

    ``refused`` and ``unavailable`` changed nothing, and the latter may be sent again; what became of an
    ``unknown`` one has to be looked up.
    """

    outcome: Literal["done", "refused", "unavailable", "unknown"]
    quote_id: str | None = Field(description="none where the move could not be read")
    state: SessionState | None = Field(default=None, description="where the session stands, once it is done")
    problem: Problem | None = Field(default=None, description="as the answer to a single request has it")


class MadeMoves(Message):
    """What came of each move, in their order."""

    answers: tuple[MadeMove, ...]


class QuotePath(Message):
    """A quote session's id."""

    quote_id: str = Field(min_length=1, max_length=64)


class AuctionPath(Message):
    """An auction's id: the hash of its notice."""

    auction: Bytes32


class Auctions(Message):
    """Auctions, newest first."""

    items: tuple[AuctionView, ...]


class RentalPath(Message):
    """A rental's id: the agreement's EIP-712 digest."""

    rental_id: Bytes32


class ReadingPath(RentalPath):
    """A reading of a rental."""

    seq: int = Field(ge=0, le=2**63 - 1)


class WalletPath(Message):
    """An account on the chain."""

    address: Address


class PageQuery(Message):
    """Which page."""

    cursor: str | None = Field(default=None, max_length=512)
    limit: int = Field(default=50, ge=1, le=200)


class ListingSearch(PageQuery):
    """What a renter looks for; every given field narrows."""

    kind: str | None = Field(default=None, max_length=100)
    q: str | None = Field(default=None, max_length=200, description="words in title, kind or place")
    online: bool | None = None


class RefusalsOfDevice(PageQuery):
    """Which refusals of a device; every given field narrows."""

    code: str | None = Field(default=None, max_length=64, description="such as `malformed` or `gap`")
    unresolved_only: bool = Field(default=False, description="leaves out gaps that were filled since")


class RefusalSearch(RefusalsOfDevice):
    """Which refusals; every given field narrows."""

    device: Bytes32 | None = None


class RentalSearch(PageQuery):
    """Which rentals; every given field narrows."""

    device: Bytes32 | None = None
    renter: HexBytes | None = None
    state: State | None = None
    open_only: bool = False


class QuoteWait(Message):
    """A long poll: wait for more offers, more signatures, or another status than the caller knows."""

    after: int = Field(default=0, ge=0, le=1000)
    signatures: int | None = Field(
        default=None, ge=0, le=2, description="as many as there are when the wait begins, if not given"
    )
    wait: float = Field(default=0, ge=0, le=10, description="seconds; 0 answers at once")


class RentalWait(Message):
    """A long poll: wait for another `progress` than the caller knows; without it the answer comes at once."""

    progress: int | None = Field(default=None, ge=0, le=2**31 - 1, description="as the caller last saw it")
    wait: float = Field(default=0, ge=0, le=10, description="seconds; 0 answers at once")


class ReadingsQuery(Message):
    """Readings with a number above `after`."""

    after: int = Field(default=-1, ge=-1, le=2**63 - 1)
    limit: int = Field(default=100, ge=1, le=1000)


class SeriesWindow(Message):
    """Which part of a rental's use, in Unix seconds, and in which steps."""

    begin: int = Field(
        alias="from", ge=0, le=LATEST, description="of the first step; whole minutes for steps of minutes"
    )
    end: int = Field(alias="to", ge=0, le=LATEST, description="steps follow until one reaches it")
    step: int = Field(ge=1, le=LONGEST_STEP, description="seconds; whole minutes where it is more than one")
    limit: int = Field(default=500, ge=1, le=1_000)


class UsageSeries(Message):
    """Steps that have readings, in order; `next` is the `from` of the next page."""

    items: tuple[UsageStep, ...]
    next: str | None = None


class Broker(Message):
    """Where devices and renters meet over MQTT."""

    host: str
    port: int
    tls: bool


class Platform(PlatformView):
    """What an agent must know of this marketplace before it connects or signs anything."""

    mqtt: Broker
    rpc_url: str
    version: str


class Health(Message):
    """Whether each service answers; `error` says why not."""

    status: Literal["ok", "degraded"]
    services: dict[str, "ServiceHealth"]


class ServiceHealth(Message):
    """One service: how many of its events have not left yet, or why it does not answer."""

    service: str
    unsent_events: int | None = None
    error: str | None = None


class Work(Message):
    """What waits for a device: quotes and rentals.

    Quotes whose turn is the owner's; rentals that are not over, or whose bill it has not countersigned.
    """

    quotes: tuple[QuoteView, ...]
    rentals: tuple[RentalView, ...]


class Funding(Message):
    """How the escrow gets the renter's tokens.

    By an EIP-2612 permit, or by none where the allowance is already there.
    """

    permit: Permit | None = None


class Readings(Message):
    """Accepted readings in order; `next` is the `after` of the next page."""

    items: tuple[SignedReading, ...]
    next: str | None = None


class Ceilings(Message):
    """Every ceiling that counted, in order."""

    items: tuple[SignedCeiling, ...]


class Refusals(Message):
    """What did not count and why, by metering and by settlement, oldest first."""

    items: tuple[Refusal, ...]


class Flags(Message):
    """What looks wrong about readings that count, ascending."""

    items: tuple[FlagView, ...]


class Countersignature(Message):
    """The owner's agent's signature over a bill."""

    signature: HexBytes


class FaucetWish(Message):
    """Who wants test tokens."""

    address: Address
