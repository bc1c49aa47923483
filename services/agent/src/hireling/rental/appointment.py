"""An owner lets the platform bargain for a machine that cannot, with a key of the platform's, inside bounds.

The appointment is public and shows whoever deals with the delegate that it was entitled. Its bounds are
between the owner and the platform: of them it carries the hash, salted, so that nobody at the table can guess
how far the delegate may go.
"""

from datetime import datetime
from typing import Literal, Self

from pydantic import Field, model_validator

from hireling.rental.documents import document_hash
from hireling.rental.errors import AppointmentRefused
from hireling.rental.listing import ListingDocument
from hireling.rental.mandate import SignedMandate
from hireling.rental.offer import Offer
from hireling.rental.signing import Signer, sign, verify
from hireling.rental.tariff import Tariff, asks_at_least
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
    hash_struct,
)

DayPart = Literal["mornings", "afternoons", "evenings", "nights"]
IssueName = Literal["price", "duration", "start", "deposit", "cap"]
MOST_OFFSET_MINUTES = 14 * 60


class DelegateWishes(Document):
    """What the owner would like inside the bounds, as its own agent would take it (``bargaining.wishes``).

    Shares are in percent of what was listed or asked for, weights in tenths; ``utc_offset_minutes`` says what
    the owner's evenings are.
    """

    prefer: DayPart | None = None
    utc_offset_minutes: int = Field(default=0, ge=-MOST_OFFSET_MINUTES, le=MOST_OFFSET_MINUTES, strict=True)
    shortest_percent: int = Field(default=1, ge=1, le=100, strict=True)
    least_deposit_percent: int = Field(default=1, ge=1, le=100, strict=True)
    walk_away_percent: int = Field(default=0, ge=0, le=100, strict=True)
    weight_tenths: dict[IssueName, Uint32] = Field(default_factory=dict)


class DelegateBounds(Document):
    """How far the delegate may go, whatever is listed: amounts in base units, spans in seconds.

    ``floor`` and ``ceiling`` bound the tariff component by component, so each price per unit. ``salt`` is 32
    random bytes: without it the hash could be tried out.
    """

    floor: Tariff
    ceiling: Tariff
    least_deposit: Uint96 = 0
    most_deposit: Uint96
    shortest_seconds: Uint32 = 1
    longest_seconds: Uint32
    wishes: DelegateWishes = DelegateWishes()
    salt: Bytes32

    @model_validator(mode="after")
    def _check(self) -> Self:
        if not asks_at_least(self.ceiling, self.floor):
            raise ValueError("the ceiling is below the floor, or of another tariff")
        if self.most_deposit < self.least_deposit:
            raise ValueError(f"the most deposit {self.most_deposit} is below the least {self.least_deposit}")
        if self.longest_seconds < self.shortest_seconds:
            raise ValueError(f"the longest {self.longest_seconds} s are below the shortest")
        return self

    def covers_price(self, tariff: Tariff) -> bool:
        """Return whether a tariff is between floor and ceiling in every component."""
        return asks_at_least(tariff, self.floor) and asks_at_least(self.ceiling, tariff)

    def covers_deposit(self, deposit: int) -> bool:
        """Return whether a deposit is within the bounds."""
        return self.least_deposit <= deposit <= self.most_deposit

    def covers_seconds(self, seconds: int) -> bool:
        """Return whether a rental's length is within the bounds."""
        return self.shortest_seconds <= seconds <= self.longest_seconds

    def check(self, offer: Offer) -> None:
        """Raise AppointmentRefused, with the numbers, for terms that the delegate may not sign."""
        if not self.covers_price(offer.tariff):
            raise AppointmentRefused("price_bounds", "the price is not between the owner's floor and ceiling")
        if not self.covers_deposit(offer.deposit):
            raise AppointmentRefused(
                "deposit_bounds",
                f"a deposit of {offer.deposit}: {self.least_deposit} to {self.most_deposit} is allowed",
            )
        if not self.covers_seconds(offer.seconds):
            raise AppointmentRefused(
                "duration_bounds",
                f"{offer.seconds} s: {self.shortest_seconds} to {self.longest_seconds} s are allowed",
            )


class Appointment(TypedData):
    """What the owner signs.

    The delegate's key, the machine, the hashes of the bounds and of the mandate that holds for the delegate
    beside them (its hashStruct; whoever revokes that ends the appointment), and the last second it holds.
    """

    delegate: KeyBytes
    device: Bytes32
    bounds: Bytes32
    mandate: Bytes32
    valid_until: Uint40


class SignedAppointment(Document):
    """An appointment and its owner's signature: what travels with a delegate's sessions."""

    owner: SignerBytes
    appointment: Appointment
    signature: HexBytes

    def check(self, domain: Domain, now: datetime) -> None:
        """Raise AppointmentRefused once it has expired, SignatureMismatch unless the owner signed it here."""
        if now.timestamp() > self.appointment.valid_until:
            raise AppointmentRefused("expired", f"it held until {self.appointment.valid_until}")
        verify(self.owner, digest(domain, self.appointment), self.signature)

    def check_entitles(
        self, listing: ListingDocument, *, domain: Domain, now: datetime, mandate: SignedMandate | None = None
    ) -> None:
        """Raise unless its delegate may speak for a listing, by ``mandate`` where that is at hand.

        Raises AppointmentRefused or SignatureMismatch.
        """
        said = self.appointment
        named = (listing.owner, listing.owner_agent, listing.device)
        if (self.owner, said.delegate, said.device) != named:
            raise AppointmentRefused("other_parties", "it is of another owner, delegate or machine")
        if mandate is not None and hash_struct(mandate.mandate) != said.mandate:
            raise AppointmentRefused("other_mandate", "it goes with another mandate")
        self.check(domain, now)


class DelegateOrder(Document):
    """An appointment with its bounds and its mandate: what the owner hands to the platform alone."""

    signed: SignedAppointment
    bounds: DelegateBounds
    mandate: SignedMandate

    def check(self, domain: Domain, now: datetime) -> None:
        """Raise AppointmentRefused, MandateExceeded or SignatureMismatch unless all of it belongs together.

        The owner's signatures are over these bounds and this mandate, for this delegate, in this domain.
        """
        said = self.signed.appointment
        if said.bounds != document_hash(self.bounds):
            raise AppointmentRefused("other_bounds", "the bounds are not the ones the owner signed")
        if said.mandate != hash_struct(self.mandate.mandate):
            raise AppointmentRefused("other_mandate", "the mandate is not the one the owner signed")
        if (self.mandate.principal, self.mandate.mandate.agent) != (self.signed.owner, said.delegate):
            raise AppointmentRefused("other_mandate", "the mandate is not this owner's for this delegate")
        self.signed.check(domain, now)
        self.mandate.check(domain, now)


class DecisionInquiry(TypedData):
    """What an owner signs to read why its delegate did what it did in a session, at a Unix second.

    ``subject`` is the session's id, 16 bytes.
    """

    subject: HexBytes
    at: Uint40


class SignedInquiry(Document):
    """An inquiry and its owner's signature."""

    owner: SignerBytes
    inquiry: DecisionInquiry
    signature: HexBytes

    def check(self, domain: Domain) -> None:
        """Raise SignatureMismatch unless the owner signed it."""
        verify(self.owner, digest(domain, self.inquiry), self.signature)


def sign_order(
    key: Signer,
    domain: Domain,
    *,
    device: bytes,
    bounds: DelegateBounds,
    mandate: SignedMandate,
    valid_until: int,
) -> DelegateOrder:
    """Return the owner's appointment of the mandate's agent for a machine."""
    appointment = Appointment(
        delegate=mandate.mandate.agent,
        device=device,
        bounds=document_hash(bounds),
        mandate=hash_struct(mandate.mandate),
        valid_until=valid_until,
    )
    signed = SignedAppointment(
        owner=key.identity, appointment=appointment, signature=sign(key, domain, appointment)
    )
    return DelegateOrder(signed=signed, bounds=bounds, mandate=mandate)


def sign_inquiry(key: Signer, domain: Domain, *, subject: bytes, at: int) -> SignedInquiry:
    """Return the owner's question about a session, as of ``at`` (Unix seconds)."""
    inquiry = DecisionInquiry(subject=subject, at=at)
    return SignedInquiry(owner=key.identity, inquiry=inquiry, signature=sign(key, domain, inquiry))
