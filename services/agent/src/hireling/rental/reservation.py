"""What a mandate has promised: one reservation for each rental that its agent may sign.

A reservation is made before the agreement is signed and counts at once, at all that the renter can lose in
that rental; once the rental is done, only what was spent counts. So the sum never exceeds the mandate,
whatever happens in between:

| stage    | it means                                      | it lapses                                     |
|----------|-----------------------------------------------|-----------------------------------------------|
| reserved | nothing was signed, or no signature left      | after LEASE: its holder may not sign any more |
| signed   | a signature may be with the other side        | once the escrow cannot be opened any more     |
| opened   | the escrow holds the money, or may by now     | never                                         |
| done     | the rental is over; the amount is its cost    | never                                         |

Pure: values in, values out; who keeps them makes each step one transaction.
"""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from enum import StrEnum

from hireling.rental.errors import MandateExceeded
from hireling.rental.mandate import Clearance, SignedMandate
from hireling.rental.terms import Agreement, rental_id
from hireling.rental.typed_data import Domain

# From the reservation to the signature it takes milliseconds; a process that died in between holds so long.
LEASE = timedelta(seconds=60)
# The escrow opens until fund_by by the chain's clock; a transaction of that second is seen a little later.
OPENING_MARGIN = timedelta(minutes=10)


class Stage(StrEnum):
    """How far the reserved rental has come."""

    RESERVED = "reserved"
    SIGNED = "signed"
    OPENED = "opened"
    DONE = "done"


@dataclass(frozen=True, kw_only=True)
class Reservation:
    """A part of a mandate that one rental holds, or has spent; ``amount`` in base units."""

    rental_id: bytes
    amount: int
    stage: Stage
    lapses_at: datetime
    fund_by: int

    def counts(self, now: datetime) -> bool:
        """Return whether it still takes from the mandate."""
        return self.stage in {Stage.OPENED, Stage.DONE} or now <= self.lapses_at

    def signed(self, now: datetime) -> "Reservation":
        """Return it with a signature about to leave.

        Raises MandateExceeded where it has lapsed: then the signature must not leave.
        """
        if self.stage is not Stage.RESERVED:
            return self
        if not self.counts(now):
            raise MandateExceeded(
                "reservation_lapsed", f"the reservation held until {self.lapses_at:%H:%M:%S}"
            )
        return replace(self, stage=Stage.SIGNED, lapses_at=unopenable_at(self.fund_by))

    def opened(self) -> "Reservation":
        """Return it with the escrow open, or about to be asked to open."""
        return self if self.stage is Stage.DONE else replace(self, stage=Stage.OPENED)

    def not_opened(self) -> "Reservation":
        """Return it as it stood before: it was looked at after ``fund_by``, and the escrow was not open."""
        if self.stage is not Stage.OPENED:
            return self
        return replace(self, stage=Stage.SIGNED, lapses_at=unopenable_at(self.fund_by))

    def done(self, spent: int) -> "Reservation":
        """Return it with the rental over: what was not ``spent`` is free again."""
        return replace(self, stage=Stage.DONE, amount=min(spent, self.amount))


def reserve(
    mandate: SignedMandate,
    agreement: Agreement,
    *,
    domain: Domain,
    now: datetime,
    others: Iterable[Reservation],
    clearance: Clearance,
) -> Reservation:
    """Return the reservation for an agreement, all of it or none. Raises MandateExceeded with the numbers.

    ``others`` are the mandate's other reservations.
    """
    mandate.check(domain, now)
    mandate.allows(agreement, reserved=reserved_of(others, now), clearance=clearance)
    return Reservation(
        rental_id=rental_id(domain, agreement),
        amount=agreement.all_in,
        stage=Stage.RESERVED,
        lapses_at=now + LEASE,
        fund_by=agreement.rules.fund_by,
    )


def reserved_of(reservations: Iterable[Reservation], now: datetime) -> int:
    """Return what reservations take from a mandate, in base units."""
    return sum(each.amount for each in reservations if each.counts(now))


def unopenable_at(fund_by: int) -> datetime:
    """Return from when on nobody can open the escrow of a rental to be funded by that Unix second."""
    return datetime.fromtimestamp(fund_by, UTC) + OPENING_MARGIN
