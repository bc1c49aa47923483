"""Rentals that live on the chain and in the model at once: each step is taken in both, and refused by both or by neither."""

from collections import Counter
from dataclasses import replace
from typing import ClassVar

from model import Outcome, Payout, Slot, Status
from packed import outcomes_of, packed_batch
from rental import HOUR, NOBODY, USD
from signing import Secp256k1Key, account_of

CREDIT = (NOBODY, NOBODY)
BONDS = 100 * USD
PURSE = 100_000 * USD


class Walk:
    """Rentals of one owner and one renter; anyone sends. What a walk reached is counted by the name of the step."""

    people: ClassVar = {name: Secp256k1Key(name) for name in ("owner", "renter", "platform")}

    def __init__(self, world, arbiter, reached) -> None:
        self.world = world
        self.arbiter = arbiter
        self.reached = reached
        self.slots: dict[int, Slot] = {}
        self.opened = 0
        self.credits: Counter[str] = Counter()
        self.purses: Counter[str] = Counter()
        self.paid_before: dict[int, tuple[int, int]] = {}

    def begin(self, renter):
        """Fill the purses, and the balance out of which the owner's bonds come."""
        world = self.world
        world.token.mint(renter, PURSE, {"from": world.relayer})
        world.token.approve(world.escrow, 2 * PURSE, {"from": renter})
        world.token.mint(world.relayer, BONDS, {"from": world.relayer})
        world.token.approve(world.escrow, BONDS, {"from": world.relayer})
        world.escrow.deposit(world.token, account_of(self.people["owner"]), BONDS, {"from": world.relayer})
        self.credits["owner"] += BONDS
        self.purses = Counter({role: world.purse(key) for role, key in self.people.items()})

    def open(self, index, terms, funded_bps):
        self.opened += 1
        self.world.next_at(self.world.now + 1)
        rental = self.world.opened(funded_bps=funded_bps, salt=self.opened.to_bytes(32, "big"), **terms)
        self.slots[index] = Slot(rental, claim_by=rental.claim_by, funded_bps=funded_bps)
        self.purses["renter"] -= self.slots[index].prepaid + rental.deposit
        self.paid_before.pop(index, None)

    # ---- what may happen

    def claim(self, index, ack_amount, read_beyond, allowed_beyond):
        slot = self.slots[index]
        amount_due, max_claimable = ack_amount + read_beyond, ack_amount + allowed_beyond
        batch = packed_batch([(slot.rental, amount_due, max_claimable, ack_amount)])
        self.world.next_at(self.world.now + 1)
        transaction = self.world.escrow.claimPacked(batch, {"from": self.world.relayer})

        outcome, after = expected_claim(slot, amount_due, max_claimable, ack_amount, self.world.now)
        assert outcomes_of(transaction.return_value) == [outcome]
        self.reached[outcome.name] += 1
        fee = after.fee(after.paid) - after.fee(slot.paid)
        self.credits["owner"] += after.paid - slot.paid - fee
        self.slots[index] = after

    def top_up(self, index, funded_bps):
        slot, now = self.slots[index], self.world.now + 1
        rental = slot.rental
        error = not_open(slot)
        if error is None and Status.SPLIT in slot.status:
            error = "RentalEscrow_StatusForbids"
        elif error is None and now > slot.claim_by - rental.claim_window:
            error = "RentalEscrow_Expired"
        elif error is None and funded_bps <= slot.funded_bps:
            error = "RentalEscrow_FundedBpsOutOfRange"
        if self.sent(error, now, self.world.escrow.topUp, rental.terms, funded_bps, rental.fund(funded_bps)):
            after = replace(slot, funded_bps=funded_bps)
            self.purses["renter"] -= after.prepaid - slot.prepaid
            self.slots[index] = after

    def exit(self, index):
        slot, now = self.slots[index], self.world.now + 1
        rental = slot.rental
        claim_by = now + rental.notice + rental.claim_window
        error = not_open(slot)
        if error is None and claim_by >= slot.claim_by:
            error = "RentalEscrow_WouldNotEndSooner"
        if self.sent(error, now, self.world.escrow.exit, rental.terms, rental.exit(rental.renter_agent)):
            self.slots[index] = replace(slot, claim_by=claim_by)

    def damage(self, index, amount):
        slot, now = self.slots[index], self.world.now + 1
        rental = slot.rental
        error = not_open(slot)
        if error is None and slot.damaged:
            error = "RentalEscrow_StatusForbids"
        elif error is None and now > slot.claim_by:
            error = "RentalEscrow_Expired"
        elif error is None and not 0 < amount <= rental.deposit:
            error = "RentalEscrow_AmountOutOfRange"
        elif error is None and self.credits["owner"] < rental.bond:
            error = "RentalEscrow_BalanceTooLow"
        evidence = b"\x07" * 32
        signature = rental.damage(amount, evidence, rental.owner_agent)
        if self.sent(error, now, self.world.escrow.damage, rental.terms, amount, evidence, signature):
            self.credits["owner"] -= rental.bond
            self.slots[index] = replace(slot, status=slot.status | Status.DAMAGE)

    def void_tail(self, index):
        slot, now = self.slots[index], self.world.now + 1
        rental = slot.rental
        error = not_open(slot)
        if error is None and Status.VOID in slot.status:
            error = "RentalEscrow_StatusForbids"
        lies = (*rental.reading(5, seq=4), *rental.reading(6, seq=4))
        if self.sent(error, now, self.world.escrow.voidTail, rental.pay, rental.rules_hash, *lies):
            self.slots[index] = slot.voided()

    def dispute(self, index):
        slot, now = self.slots[index], self.world.now + 1
        error = not_open(slot)
        if error is None and (slot.tail == 0 or slot.status & (Status.DISPUTE | Status.VOID)):
            error = "RentalEscrow_NothingToDispute"
        elif error is None and now <= slot.claim_by:
            error = "RentalEscrow_TooEarly"
        elif error is None and now > slot.dispute_by:
            error = "RentalEscrow_Expired"
        if self.sent(error, now, self.world.escrow.dispute, slot.rental.terms, slot.rental.dispute()):
            self.slots[index] = replace(slot, status=slot.status | Status.DISPUTE)

    def close(self, index, use, damage, above_paid, push):
        slot, now = self.slots[index], self.world.now + 1
        rental = slot.rental
        use = min(slot.paid + use, slot.prepaid) if above_paid else use
        error = not_open(slot)
        if error is None and not (
            slot.paid <= use <= slot.prepaid
            and damage <= rental.deposit
            and use - slot.paid + damage <= slot.pot
        ):
            error = "RentalEscrow_AmountOutOfRange"
        sides = [rental.close(use, damage, now, key) for key in (rental.owner, rental.renter)]
        closing = (rental.terms, (use, damage, now), *sides, self.to(push))
        if self.sent(error, now, self.world.escrow.close, *closing):
            self.finish(index, use, slot.closed(use, damage), now, push)

    def settle(self, index, push):
        slot, now = self.slots[index], self.world.now + 1
        error = not_open(slot)
        whole = now > slot.final_after
        if error is None and (now <= slot.claim_by or (not whole and Status.SPLIT in slot.status)):
            error = "RentalEscrow_TooEarly"
        if not self.sent(error, now, self.world.escrow.settle, slot.rental.terms, self.to(push)):
            return
        if whole:
            self.finish(index, slot.paid + slot.tail_that_counts, slot.settled(), now, push)
        else:
            self.reached["split"] += 1
            self.pay(Payout(to_owner=0, fee=0, to_renter=slot.refund()), push)
            self.slots[index] = replace(slot, status=slot.status | Status.SPLIT)

    def rule_as_the_arbiter(self, index, tail, deposit, push):
        slot, now = self.slots[index], self.world.now + 1
        tail = slot.tail_that_counts if tail is None else tail
        error = ruling_error(slot, tail, deposit, now)
        arbiter = self.arbiter
        call = (slot.rental.terms, tail, deposit, self.to(push))
        if self.sent(error, now, self.world.escrow.rule, *call, sender=arbiter):
            self.finish(index, slot.paid + tail, slot.ruled(tail, deposit), now, push)

    def time_passes(self, index, seconds):
        self.world.mine_at(self.world.now + seconds)

    def a_deadline_comes(self, index, offset):
        slot, now = self.slots[index], self.world.now
        ahead = [at for at in (slot.claim_by, slot.dispute_by, slot.rule_from, slot.rule_by) if at > now]
        self.world.mine_at(max(min(ahead, default=now + HOUR) + offset, now + 1))

    # ---- what always holds

    def slots_are_the_models(self):
        read = self.world.read(*((self.world.escrow.rentals, slot.rental.id) for slot in self.slots.values()))
        for (number, slot), words in zip(self.slots.items(), read, strict=True):
            assert tuple(map(int, words)) == slot.words
            if Status.OPEN in slot.status:
                total = slot.paid + slot.tail
                paid_before, total_before = self.paid_before.get(number, (0, 0))
                assert slot.paid >= paid_before
                assert total >= total_before or Status.VOID in slot.status
                assert total <= slot.prepaid
                self.paid_before[number] = (slot.paid, total)

    def money_is_conserved(self):
        still_open = [slot for slot in self.slots.values() if Status.OPEN in slot.status]
        pots = sum(slot.pot + slot.fee_held + slot.owner_bond for slot in still_open)
        escrow, token = self.world.escrow, self.world.token
        held, *money = self.world.read(
            (token.balanceOf, escrow.address),
            *((token.balanceOf, key.address) for key in self.people.values()),
            *((escrow.balances, token.address, account_of(key)) for key in self.people.values()),
        )
        assert held == pots + sum(self.credits.values())
        assert money[:3] == [self.purses[role] for role in self.people]
        assert [amount for amount, _ in money[3:]] == [self.credits[role] for role in self.people]

    def everyone_vanishes_but_a_stranger(self):
        self.world.mine_at(max(self.world.now, *(slot.rule_by for slot in self.slots.values())) + 1)
        for slot in self.slots.values():
            if Status.OPEN in slot.status:
                self.world.escrow.settle(slot.rental.terms, CREDIT, {"from": self.world.relayer})
        assert self.world.held == sum(self.world.credit(key) for key in self.people.values())

    # ---- how it is done

    def sent(self, error, at, function, *args, sender=None):
        """Send the call at this second if it should succeed; else check that it is refused by this error."""
        if error is not None:
            self.world.mine_at(at)
            assert self.world.refusal(function, *args, sender=sender)[0] == error
            return False
        self.world.next_at(at)
        function(*args, {"from": sender or self.world.relayer})
        self.reached[function._name.split(".")[1]] += 1
        return True

    def to(self, push):
        return (self.people["owner"].address, self.people["renter"].address) if push else CREDIT

    def pay(self, payout, push):
        sides = self.purses if push else self.credits
        sides["owner"] += payout.to_owner
        sides["renter"] += payout.to_renter
        self.credits["platform"] += payout.fee

    def finish(self, index, paid, payout, now, push):
        slot = self.slots[index]
        held = slot.pot + slot.fee_held + slot.owner_bond
        assert payout.to_owner + payout.fee + payout.to_renter == held
        self.pay(payout, push)
        remembered = now <= slot.rental.fund_by
        status = Status.DONE if remembered else Status(0)
        self.slots[index] = Slot(
            slot.rental, claim_by=0, paid=paid if remembered else 0, funded_bps=0, status=status
        )


def not_open(slot):
    return None if Status.OPEN in slot.status else "RentalEscrow_NotOpen"


def expected_claim(slot, amount_due, max_claimable, ack_amount, now):
    if Status.OPEN not in slot.status:
        return Outcome.NOT_OPEN, slot
    if Status.SPLIT in slot.status:
        return Outcome.ALREADY_SPLIT, slot
    if now > slot.claim_by:
        return Outcome.TOO_LATE, slot
    after = slot.claimed(amount_due, max_claimable, ack_amount, now)
    return (Outcome.NOTHING_NEW if after == slot else Outcome.CLAIMED), after


def ruling_error(slot, tail, deposit, now):
    if Status.OPEN not in slot.status:
        return "RentalEscrow_NotOpen"
    if not (slot.damaged or slot.disputed):
        return "RentalEscrow_NothingContested"
    if now <= slot.rule_from:
        return "RentalEscrow_TooEarly"
    if now > slot.rule_by:
        return "RentalEscrow_Expired"
    fair_tail = tail <= slot.tail if slot.disputed else tail == slot.tail_that_counts
    most = slot.rental.deposit - (slot.rental.bond if slot.disputed else 0) if slot.damaged else 0
    return None if fair_tail and deposit <= most else "RentalEscrow_AmountOutOfRange"
