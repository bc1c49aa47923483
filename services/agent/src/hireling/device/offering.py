"""What the machine offers: its driver's facts and its owner's wishes become a listing."""

from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from fractions import Fraction
from typing import Any

from hireling.bargaining.phrases import NotUnderstood, owner_says
from hireling.bargaining.wishes import OwnerWishes
from hireling.drivers.driver import BadInput, Facts
from hireling.mqtt_line import topic_of
from hireling.rental.agenda import USUAL_ROUNDS, Agenda
from hireling.rental.errors import Malformed
from hireling.rental.listing import ListingDocument
from hireling.rental.money import Token, parse_amount
from hireling.rental.table import START_STEP
from hireling.rental.tariff import Rate, Tariff, scaled
from hireling.rental.terms import device_id

LISTED_FOR = timedelta(hours=24)  # protocol.md: a listing expires after at most 24 hours
LISTED_AGAIN_AFTER = timedelta(hours=12)
NOTICE_SECONDS = 600
GRACE_SECONDS = 60
# The escrow's shortest windows: an hour each.
CLAIM_WINDOW_SECONDS = 3600
CHALLENGE_WINDOW_SECONDS = 3600
LONGEST_RENTAL_SECONDS = 24 * 3600
THING_CONTEXT = "https://www.w3.org/2022/wot/td/v1.1"
SHORTEST_CEILING_SECONDS = 1


@dataclass(frozen=True)
class Wishes:
    """What the owner asks for; None leaves it to the driver."""

    price: str | None = None
    """Amount per the driver's unit of use, such as ``0.40`` for 0.40 a kWh."""
    flat: str | None = None
    deposit: str = "0.50"
    floor_percent: int = 80
    """The least of the listed price, in percent, that the agent may go down to."""
    says: str = ""
    """What the owner wants beside, in phrases: see bargaining.phrases."""
    rounds: int = USUAL_ROUNDS
    later_starts: int = 0
    """How many quarters of an hour a rental may begin after the start asked for."""
    approval_above: str | None = None
    """From more than this all-in amount on, a person has to agree."""
    mandate_total: str | None = None
    """The most that all rentals together may promise and earn under one mandate; None: no cap."""
    ceiling_seconds: int | None = None
    grace_seconds: int = GRACE_SECONDS
    notice_seconds: int = NOTICE_SECONDS
    longest_seconds: int = LONGEST_RENTAL_SECONDS
    books_ahead_seconds: int = 0
    """How far ahead the machine takes bookings while it is promised to others; 0: one agreement at a time."""
    turnaround_seconds: int = 0
    """What the machine needs between two rentals."""


@dataclass(frozen=True)
class Parties:
    """Who offers: the owner, its agent and the machine's meter."""

    owner: bytes
    owner_agent: bytes
    meter: bytes

    @property
    def device(self) -> bytes:
        """Return the device's id."""
        return device_id(self.meter)


def tariff_of(facts: Facts, wishes: Wishes, token: Token) -> Tariff:
    """Return the tariff: a flat fee and a price per unit of use.

    Raises BadInput for an amount the token cannot express.
    """
    pricing = facts.pricing
    rate = Fraction(listed_price(facts, wishes, token), pricing.per)
    return Tariff(
        currency=token.symbol,
        counters=facts.counters,
        flat=amount_of(wishes.flat or pricing.default_flat, token, "flat fee"),
        rates=(Rate(kind="use", counter=pricing.counter, rate=rate.numerator, per=rate.denominator),),
    )


def listing_of(
    facts: Facts, wishes: Wishes, *, parties: Parties, token: Token, now: datetime, price: int | None = None
) -> ListingDocument:
    """Return what the machine offers from ``now`` on. Raises BadInput.

    With a ``price`` per unit of use, in base units, the whole tariff is in proportion to it.
    """
    ceiling_seconds = wishes.ceiling_seconds or facts.ceiling_seconds
    if ceiling_seconds < SHORTEST_CEILING_SECONDS:
        raise BadInput(f"a ceiling of {ceiling_seconds} s: at least {SHORTEST_CEILING_SECONDS}")
    return ListingDocument(
        device=parties.device,
        owner=parties.owner,
        owner_agent=parties.owner_agent,
        meter=parties.meter,
        title=facts.title,
        kind=facts.kind,
        thing=thing_description(facts, parties.device),
        tariff=_tariff_at(facts, wishes, token, price),
        agenda=agenda_of(wishes),
        deposit=amount_of(wishes.deposit, token, "deposit"),
        time_factor=facts.time_factor,
        ceiling_seconds=ceiling_seconds,
        grace=wishes.grace_seconds,
        notice=wishes.notice_seconds,
        claim_window=CLAIM_WINDOW_SECONDS,
        challenge_window=CHALLENGE_WINDOW_SECONDS,
        max_seconds=wishes.longest_seconds,
        books_ahead=wishes.books_ahead_seconds,
        turnaround=wishes.turnaround_seconds,
        valid_until=int((now + LISTED_FOR).timestamp()),
    )


def _tariff_at(facts: Facts, wishes: Wishes, token: Token, price: int | None) -> Tariff:
    own, listed = tariff_of(facts, wishes, token), listed_price(facts, wishes, token)
    return own if price in {None, listed} else scaled(own, price or 0, listed)


def listed_price(facts: Facts, wishes: Wishes, token: Token) -> int:
    """Return what the owner asks per unit of use, in base units. Raises BadInput."""
    return amount_of(wishes.price or facts.pricing.default, token, "price")


def agenda_of(wishes: Wishes) -> Agenda:
    """Return what may be bargained about: the same for every machine, whatever its owner would settle for."""
    return Agenda(
        rounds=wishes.rounds,
        price=tuple(range(100, 49, -2)),
        duration=(100, 75, 50),
        start=tuple(number * START_STEP for number in range(wishes.later_starts + 1)),
        deposit=(100, 75, 50, 25),
        cap=(100, 90, 80, 70),
    )


def bargaining_wishes(facts: Facts, wishes: Wishes, token: Token) -> OwnerWishes:
    """Return what the owner wants at the table. Raises BadInput for phrases that mean nothing here."""
    try:
        said = owner_says(wishes.says, OwnerWishes(least_price_percent=wishes.floor_percent))
    except NotUnderstood as error:
        raise BadInput(str(error)) from error
    if said.least_price is None:
        return said.wishes
    pricing = facts.pricing
    if (said.unit or "").lower() != pricing.unit.lower():
        raise BadInput(f"this machine is priced per {pricing.unit}, not per {said.unit}")
    listed = listed_price(facts, wishes, token)
    least = amount_of(said.least_price, token, "the least price")
    if least > listed:
        price = wishes.price or pricing.default
        raise BadInput(f"never under {said.least_price}, but it is listed for {price}")
    # Rounded up: the bound is the owner's, a percent is only how the table counts.
    percent = -(-least * 100 // listed) if listed else 100
    return replace(said.wishes, least_price_percent=max(1, percent))


def thing_description(facts: Facts, device: bytes) -> dict[str, Any]:
    """Return the machine's W3C WoT Thing Description (1.1).

    Its counters as properties, observed on the readings' topic.
    """
    topic = topic_of(device, "readings")
    properties = {
        counter.name: {
            "type": "integer",
            "unit": counter.unit,
            "readOnly": True,
            "observable": True,
            "forms": [{"href": f"mqtt://broker/{topic}", "op": ["observeproperty"]}],
        }
        for counter in facts.counters
    }
    thing: dict[str, Any] = {
        "@context": THING_CONTEXT,
        "id": f"urn:hireling:0x{device.hex()}",
        "title": facts.title,
        "description": facts.description,
        "securityDefinitions": {"unlock": {"scheme": "auto"}},
        "security": ["unlock"],
        "properties": properties,
    }
    return (
        thing
        | {"hireling:seconds": facts.default_seconds}
        | ({"hireling:details": facts.details} if facts.details else {})
    )


def amount_of(text: str, token: Token, what: str) -> int:
    """Return an amount of the token in base units. Raises BadInput."""
    try:
        return parse_amount(text, token)
    except Malformed as error:
        raise BadInput(f"{what}: {error}") from error
