"""What the pages show, in words already: one card for each thing, one scene for each page."""

from dataclasses import dataclass

from services.messages.metering import Refusal
from services.messages.settlement import FlagView


@dataclass(frozen=True, kw_only=True)
class ListingCard:
    """What a device offers."""

    title: str
    kind: str
    place: str
    online: bool
    registered: bool
    price: tuple[str, ...]
    all_in: str
    limits: str
    device: str
    link: str


@dataclass(frozen=True, kw_only=True)
class RentalCard:
    """A rental with its live units and money."""

    rental_id: str
    name: str
    title: str
    state: str
    # Nothing more will happen, the bill included.
    finished: bool
    counters: tuple[tuple[str, str], ...]
    cost: str
    ceiling: str
    most: str
    # For the bar: parts of the most it can cost, in thousandths.
    per_mille_used: int
    per_mille_allowed: int
    readings: int
    refusals: int
    deadline: str
    facts: tuple[tuple[str, str], ...]
    bill: bool
    transactions: tuple[dict[str, str], ...]


@dataclass(frozen=True, kw_only=True)
class BillCard:
    """A finished rental's bill."""

    rental_id: str
    name: str
    title: str
    total: str
    issued: str
    countersigned: bool


@dataclass(frozen=True, kw_only=True)
class HomeScene:
    """Everything on the first page; None where a service does not answer."""

    listings: tuple[ListingCard, ...] | None
    rentals: tuple[RentalCard, ...] | None
    bills: tuple[BillCard, ...] | None


@dataclass(frozen=True, kw_only=True)
class RentalScene:
    """Everything on a rental's page; None where a service does not answer."""

    rental: RentalCard
    readings: tuple[dict[str, str], ...] | None
    flags: tuple[FlagView, ...] | None
    refusals: tuple[Refusal, ...] | None
