"""The escrow's slot, in Python: what each call does to a rental's money, exactly as its specification says.

Agents and the platform predict with it what the chain will do; tests walk it beside the contract. Amounts in
base units, times in Unix seconds; a call is allowed while now <= its limit, a default from now > limit. Who
may make a call is the caller's to check: here is only what follows from the amounts and the times.
"""

from dataclasses import dataclass, replace
from enum import IntFlag

from hireling.rental.errors import EscrowRefused
from hireling.rental.limits import DAY, HOUR, check_limits
from hireling.rental.money import BPS, divide_up, fee_of
from hireling.rental.terms import Agreement

EVIDENCE_SECONDS = 48 * HOUR
RULING_SECONDS = 7 * DAY
# The escrow's own error where a rental is to be opened that it has already.
ALREADY_OPEN = "RentalEscrow_AlreadyKnown"


class Status(IntFlag):
    """Bits of a slot's status."""

    OPEN = 1
    DAMAGE = 2
    DISPUTE = 4
    VOID = 8
    SPLIT = 16
    DONE = 128


@dataclass(frozen=True)
class Slot:
    """Everything the chain remembers of a rental."""

    paid: int
    tail: int
    claim_by: int
    funded_bps: int
    status: Status

    def has(self, bits: Status) -> bool:
        """Return whether any of ``bits`` is set."""
        return bool(self.status & bits)

    @property
    def disputed(self) -> bool:
        """Return whether there is a tail to rule on."""
        return self.has(Status.DISPUTE) and not self.has(Status.VOID)

    @property
    def due_tail(self) -> int:
        """Return the tail that counts: none once it is void."""
        return 0 if self.has(Status.VOID) else self.tail


@dataclass(frozen=True)
class Payout:
    """What leaves the rental: to the owner with its own bond, as fee once it ends, and to the renter."""

    owner: int = 0
    fee: int = 0
    renter: int = 0


@dataclass(frozen=True)
class Move:
    """A call's effect.

    The slot after it, what it pays out of the pot and the owner's bond, and what it takes in.
    """

    slot: Slot
    payout: Payout = Payout()
    taken_in: int = 0


def prepaid(agreement: Agreement, funded_bps: int) -> int:
    """Return the funded part of max_total."""
    return agreement.pay.max_total * funded_bps // BPS


def bond(agreement: Agreement) -> int:
    """Return what a dispute or a damage claim puts at stake."""
    return agreement.rules.deposit // 10


def stop_by(agreement: Agreement, slot: Slot) -> int:
    """Return when use ends."""
    return slot.claim_by - agreement.pay.claim_window


def dispute_by(agreement: Agreement, slot: Slot) -> int:
    """Return until when the renter may dispute the tail."""
    return slot.claim_by + agreement.rules.challenge_window


def rule_from(agreement: Agreement, slot: Slot) -> int:
    """Return after when the arbiter may rule."""
    return dispute_by(agreement, slot) + EVIDENCE_SECONDS


def rule_by(agreement: Agreement, slot: Slot) -> int:
    """Return until when the arbiter may rule."""
    return rule_from(agreement, slot) + RULING_SECONDS


def rate_cap(agreement: Agreement, slot: Slot, *, now: int) -> int:
    """Return the most that elapsed time allows, whatever was signed."""
    pay = agreement.pay
    elapsed = max(0, min(now, stop_by(agreement, slot)) - pay.start_at)
    return pay.block_max + divide_up(pay.max_rate_per_hour * elapsed, HOUR)


def owed(
    agreement: Agreement, slot: Slot, *, amount_due: int, max_claimable: int, ack_amount: int, now: int
) -> int:
    """Return what both keys, elapsed time and the prepaid money allow: the least of the five."""
    return min(
        amount_due,
        max_claimable,
        ack_amount + agreement.pay.block_max,
        rate_cap(agreement, slot, now=now),
        prepaid(agreement, slot.funded_bps),
    )


def pot(agreement: Agreement, slot: Slot) -> int:
    """Return what the escrow holds for an open rental, the owner's damage bond and the fee so far apart."""
    if not slot.has(Status.SPLIT):
        return prepaid(agreement, slot.funded_bps) + agreement.rules.deposit - slot.paid
    return slot.tail + _reserve(agreement, slot)


def held(agreement: Agreement, slot: Slot) -> int:
    """Return all that the escrow holds for a rental.

    The pot, the fee on what is paid, and the bond of an owner who claims damage.
    """
    if not slot.has(Status.OPEN):
        return 0
    fee = fee_of(slot.paid, agreement.pay.fee_bps)
    return pot(agreement, slot) + fee + (bond(agreement) if slot.has(Status.DAMAGE) else 0)


def open_slot(agreement: Agreement, *, funded_bps: int, now: int) -> Move:
    """Open a rental: takes in the prepaid part and the deposit."""
    check_limits(agreement)
    rules = agreement.rules
    _require(now <= rules.fund_by, "too_late", f"it is {now}, fund_by was {rules.fund_by}")
    _require(rules.end_by <= now + 366 * DAY, "too_long", f"end_by {rules.end_by} is past {now} + 366 d")
    _require(1 <= funded_bps <= BPS, "bad_share", f"{funded_bps} bps, 1 to {BPS} may be funded")
    slot = Slot(0, 0, agreement.claim_by, funded_bps, Status.OPEN)
    return Move(slot, taken_in=prepaid(agreement, funded_bps) + rules.deposit)


def top_up(agreement: Agreement, slot: Slot, *, funded_bps: int, now: int) -> Move:
    """Fund a larger share: takes in the difference."""
    _require_running(slot)
    limit = stop_by(agreement, slot)
    _require(now <= limit, "too_late", f"it is {now}, use ended at {limit}")
    _require(slot.funded_bps < funded_bps <= BPS, "bad_share", f"{funded_bps} bps after {slot.funded_bps}")
    raised = replace(slot, funded_bps=funded_bps)
    return Move(raised, taken_in=prepaid(agreement, funded_bps) - prepaid(agreement, slot.funded_bps))


def claim(
    agreement: Agreement, slot: Slot, *, amount_due: int, max_claimable: int, ack_amount: int, now: int
) -> Move:
    """Claim with a reading and a ceiling: what was acknowledged is paid, the rest becomes the tail."""
    _require_running(slot)
    _require(now <= slot.claim_by, "too_late", f"it is {now}, claims ended at {slot.claim_by}")
    due = owed(
        agreement, slot, amount_due=amount_due, max_claimable=max_claimable, ack_amount=ack_amount, now=now
    )
    paid = max(slot.paid, min(due, ack_amount))
    total = max(slot.paid + slot.tail, 0 if slot.has(Status.VOID) else due, paid)
    claimed = replace(slot, paid=paid, tail=total - paid)
    _require(claimed != slot, "nothing_new", f"{slot.paid} paid and a tail of {slot.tail} are all there is")
    return Move(claimed, Payout(owner=_to_owner(agreement, slot, use=paid - slot.paid)))


def exit_early(agreement: Agreement, slot: Slot, *, now: int) -> Move:
    """Give irrevocable notice: claims end when notice and claim window have passed."""
    _require(slot.has(Status.OPEN), "not_open", "the rental is not open")
    claim_by = now + agreement.rules.notice + agreement.pay.claim_window
    _require(claim_by < slot.claim_by, "no_earlier", f"{claim_by} is no earlier than {slot.claim_by}")
    return Move(replace(slot, claim_by=claim_by))


def claim_damage(agreement: Agreement, slot: Slot, *, amount: int, now: int) -> Move:
    """Claim a part of the deposit: takes in the owner's bond."""
    _require(
        slot.has(Status.OPEN) and not slot.has(Status.DAMAGE), "not_open", "not open, or already claimed"
    )
    _require(now <= slot.claim_by, "too_late", f"it is {now}, claims ended at {slot.claim_by}")
    deposit = agreement.rules.deposit
    _require(0 < amount <= deposit, "bad_damage", f"damage {amount}, the deposit is {deposit}")
    return Move(replace(slot, status=slot.status | Status.DAMAGE), taken_in=bond(agreement))


def void_tail(slot: Slot) -> Move:
    """Void the tail of a meter that contradicted itself."""
    _require(slot.has(Status.OPEN) and not slot.has(Status.VOID), "not_open", "not open, or already void")
    tail = slot.tail if slot.has(Status.SPLIT) else 0
    return Move(replace(slot, tail=tail, status=slot.status | Status.VOID))


def dispute(agreement: Agreement, slot: Slot, *, now: int) -> Move:
    """Object to the tail."""
    _require(slot.has(Status.OPEN), "not_open", "the rental is not open")
    _require(not slot.has(Status.DISPUTE | Status.VOID), "already", "already disputed, or void")
    _require(slot.tail > 0, "no_tail", "there is no tail to dispute")
    limit = dispute_by(agreement, slot)
    _require(slot.claim_by < now <= limit, "wrong_time", f"it is {now}, not in {slot.claim_by} to {limit}")
    return Move(replace(slot, status=slot.status | Status.DISPUTE))


def close(agreement: Agreement, slot: Slot, *, use: int, damage: int) -> Move:
    """Close by both signatures.

    The cumulative ``use`` and the ``damage`` to the owner, the rest to the renter.
    """
    _require(slot.has(Status.OPEN), "not_open", "the rental is not open")
    funded = prepaid(agreement, slot.funded_bps)
    _require(slot.paid <= use <= funded, "bad_use", f"use {use}, {slot.paid} is paid and {funded} funded")
    deposit = agreement.rules.deposit
    _require(damage <= deposit, "bad_damage", f"damage {damage}, the deposit is {deposit}")
    inside = pot(agreement, slot)
    taken = use - slot.paid + damage
    _require(taken <= inside, "not_enough", f"{taken} is due, {inside} is held")
    owner = _to_owner(agreement, slot, use=use - slot.paid) + damage
    back = bond(agreement) if slot.has(Status.DAMAGE) else 0
    payout = Payout(owner + back, fee_of(use, agreement.pay.fee_bps), inside - taken)
    return Move(replace(slot, paid=use, tail=0, status=Status.DONE), payout)


def settle(agreement: Agreement, slot: Slot, *, now: int) -> Move:
    """Settle by the deadlines alone, as anyone may.

    The final settlement where it is due, else the early part.
    """
    _require(slot.has(Status.OPEN), "not_open", "the rental is not open")
    _require(now > slot.claim_by, "too_early", f"it is {now}, claims end at {slot.claim_by}")
    contested = slot.has(Status.DAMAGE) or slot.disputed
    if not contested and (slot.due_tail == 0 or now > dispute_by(agreement, slot)):
        return _finish(agreement, slot)
    if contested and now > rule_by(agreement, slot):
        return _finish(agreement, slot)
    _require(not slot.has(Status.SPLIT), "nothing_new", "the early part is settled")
    early = pot(agreement, slot) - slot.tail - _reserve(agreement, slot)
    return Move(replace(slot, status=slot.status | Status.SPLIT), Payout(renter=early))


def rule(agreement: Agreement, slot: Slot, *, use: int, damage: int, now: int) -> Move:
    """Rule, once: ``use`` of the tail and ``damage`` of the deposit to the owner.

    Who loses wholly loses the bond.
    """
    disputed, damaged, tail, stake = slot.disputed, slot.has(Status.DAMAGE), slot.due_tail, bond(agreement)
    _require(slot.has(Status.OPEN) and (damaged or disputed), "not_contested", "there is nothing to rule on")
    first, last = rule_from(agreement, slot), rule_by(agreement, slot)
    _require(first < now <= last, "wrong_time", f"it is {now}, not in {first} to {last}")
    _require(use <= tail if disputed else use == tail, "bad_ruling", f"use {use}, the tail is {tail}")
    most = agreement.rules.deposit - (stake if disputed else 0) if damaged else 0
    _require(damage <= most, "bad_ruling", f"damage {damage}, at most {most}")
    fee = fee_of(slot.paid + use, agreement.pay.fee_bps)
    renters_bond = stake if disputed and use == tail else 0
    owners_bond_back = stake if damaged and damage > 0 else 0
    owner = _to_owner(agreement, slot, use=use) + damage + renters_bond + owners_bond_back
    renter = held(agreement, slot) - owner - fee
    return Move(replace(slot, paid=slot.paid + use, tail=0, status=Status.DONE), Payout(owner, fee, renter))


def _finish(agreement: Agreement, slot: Slot) -> Move:
    """The tail to the owner, the rest of the pot to the renter, the owner's bond back."""
    tail = slot.due_tail
    back = bond(agreement) if slot.has(Status.DAMAGE) else 0
    fee = fee_of(slot.paid + tail, agreement.pay.fee_bps)
    payout = Payout(_to_owner(agreement, slot, use=tail) + back, fee, pot(agreement, slot) - tail)
    return Move(replace(slot, paid=slot.paid + tail, tail=0, status=Status.DONE), payout)


def _to_owner(agreement: Agreement, slot: Slot, *, use: int) -> int:
    """Return the owner's part of ``use`` beyond what is paid: less a difference of cumulative fees."""
    bps = agreement.pay.fee_bps
    return use - (fee_of(slot.paid + use, bps) - fee_of(slot.paid, bps))


def _reserve(agreement: Agreement, slot: Slot) -> int:
    return agreement.rules.deposit if slot.has(Status.DAMAGE) else bond(agreement)


def _require_running(slot: Slot) -> None:
    _require(slot.has(Status.OPEN), "not_open", "the rental is not open")
    _require(not slot.has(Status.SPLIT), "split", "the early part is settled already")


def _require(condition: bool, code: str, detail: str) -> None:  # noqa: FBT001  the condition is the subject
    if not condition:
        raise EscrowRefused(code, detail)
