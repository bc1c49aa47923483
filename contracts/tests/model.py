"""The escrow's money as plain Python: the specification's formulas, written a second time."""

from dataclasses import dataclass, replace
from enum import IntEnum, IntFlag

from rental import Rental

HOURS = 3600


class Status(IntFlag):
    OPEN = 1
    DAMAGE = 2
    DISPUTE = 4
    VOID = 8
    SPLIT = 16
    DONE = 128


class Outcome(IntEnum):
    CLAIMED = 0
    NOTHING_NEW = 1
    NOT_OPEN = 2
    ALREADY_SPLIT = 3
    TOO_LATE = 4
    OTHER_RENTAL = 5
    BAD_METER_SIGNATURE = 6
    BAD_RENTER_AGENT_SIGNATURE = 7


@dataclass(frozen=True)
class Payout:
    to_owner: int
    fee: int
    to_renter: int


@dataclass(frozen=True)
class Slot:
    """One rental's slot together with its terms; each step returns another. Amounts in base units."""

    rental: Rental
    claim_by: int
    paid: int = 0
    tail: int = 0
    funded_bps: int = 10_000
    status: Status = Status.OPEN

    @property
    def words(self) -> tuple[int, ...]:
        return (self.paid, self.tail, self.claim_by, self.funded_bps, int(self.status))

    @property
    def prepaid(self) -> int:
        return self.rental.max_total * self.funded_bps // 10_000

    @property
    def dispute_by(self) -> int:
        return self.claim_by + self.rental.challenge_window

    @property
    def rule_from(self) -> int:
        return self.dispute_by + 48 * HOURS

    @property
    def rule_by(self) -> int:
        return self.rule_from + 7 * 24 * HOURS

    @property
    def damaged(self) -> bool:
        return Status.DAMAGE in self.status

    @property
    def disputed(self) -> bool:
        return Status.DISPUTE in self.status and Status.VOID not in self.status

    @property
    def tail_that_counts(self) -> int:
        return 0 if Status.VOID in self.status else self.tail

    @property
    def final_after(self) -> int:
        if self.damaged or self.disputed:
            return self.rule_by
        return self.dispute_by if self.tail_that_counts else self.claim_by

    @property
    def owner_bond(self) -> int:
        return self.rental.bond if self.damaged else 0

    @property
    def pot(self) -> int:
        if Status.SPLIT in self.status:
            return self.tail + (self.rental.deposit if self.damaged else self.rental.bond)
        return self.prepaid + self.rental.deposit - self.paid

    @property
    def fee_held(self) -> int:
        """Return the fee on what is paid: it stays in the escrow until the end."""
        return self.fee(self.paid)

    def fee(self, paid: int) -> int:
        return paid * self.rental.fee_bps // 10_000

    def rate_cap(self, now: int) -> int:
        stop_by = self.claim_by - self.rental.claim_window
        elapsed = max(0, min(now, stop_by) - (self.rental.starts + self.rental.start_delay))
        return self.rental.block_max + -(-self.rental.max_rate_per_hour * elapsed // 3600)

    def owed(self, amount_due: int, max_claimable: int, ack_amount: int, now: int) -> int:
        bounds = (
            amount_due,
            max_claimable,
            ack_amount + self.rental.block_max,
            self.rate_cap(now),
            self.prepaid,
        )
        return min(bounds)

    def claimed(self, amount_due: int, max_claimable: int, ack_amount: int, now: int) -> "Slot":
        owed = self.owed(amount_due, max_claimable, ack_amount, now)
        paid = max(self.paid, min(owed, ack_amount))
        total = max(self.paid + self.tail, 0 if Status.VOID in self.status else owed, paid)
        return replace(self, paid=paid, tail=total - paid)

    def voided(self) -> "Slot":
        kept = self.tail if Status.SPLIT in self.status else 0
        return replace(self, tail=kept, status=self.status | Status.VOID)

    def refund(self) -> int:
        """Return what the early part of a settlement gives back."""
        return self.pot - self.tail - (self.rental.deposit if self.damaged else self.rental.bond)

    def settled(self) -> Payout:
        fee = self.fee(self.paid + self.tail_that_counts)
        to_owner = self.tail_that_counts - (fee - self.fee_held) + self.owner_bond
        return Payout(to_owner, fee, self.pot - self.tail_that_counts)

    def closed(self, use: int, damage: int) -> Payout:
        fee = self.fee(use)
        due = use - self.paid + damage
        return Payout(due - (fee - self.fee_held) + self.owner_bond, fee, self.pot - due)

    def ruled(self, tail_to_owner: int, deposit_to_owner: int) -> Payout:
        fee = self.fee(self.paid + tail_to_owner)
        renter_bond = self.rental.bond if self.disputed and tail_to_owner == self.tail else 0
        from_pot = tail_to_owner + deposit_to_owner + renter_bond
        owner_keeps_bond = deposit_to_owner > 0
        to_owner = from_pot - (fee - self.fee_held) + (self.owner_bond if owner_keeps_bond else 0)
        return Payout(to_owner, fee, self.pot - from_pot + (0 if owner_keeps_bond else self.owner_bond))
