"""Any sequence of calls: no money appears or is lost, nothing exceeds its bounds, and everything ends.

The walk keeps its own books, in and out; the formulas under test only say what moves.
"""

from collections.abc import Callable
from functools import partial

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from hireling.rental import escrow_math as escrow
from hireling.rental.errors import EscrowRefused
from hireling.rental.escrow_math import Move, Slot, Status
from hireling.rental.money import fee_of
from hireling.rental.terms import Agreement
from tests.builders import NOW, an_agreement

START = int(NOW.timestamp())
MONEY = st.integers(min_value=0, max_value=300_000)
SPANS = st.sampled_from((1, 60, 1_200, 3_601, 50_000, 2 * 86_400, 8 * 86_400))
SHARES = st.integers(min_value=1, max_value=10_000)


def agreement_of(*, deposit: int, fee_bps: int) -> Agreement:
    agreement = an_agreement()
    return Agreement.model_validate(
        {
            "pay": {**dict(agreement.pay), "fee_bps": fee_bps},
            "rules": {**dict(agreement.rules), "deposit": deposit},
        }
    )


class EscrowWalk(RuleBasedStateMachine):
    """One rental, from open to whatever end, called by everybody in any order and at any time."""

    @initialize(deposit=st.integers(0, 30_000), fee_bps=st.integers(0, 1_000), share=SHARES)
    def open(self, deposit: int, fee_bps: int, share: int) -> None:
        self.now = START
        self.agreement = agreement_of(deposit=deposit, fee_bps=fee_bps)
        opened = escrow.open_slot(self.agreement, funded_bps=share, now=self.now)
        self.slot: Slot = opened.slot
        self.taken_in = opened.taken_in
        self.owner = self.fee = self.renter = 0
        self.acknowledged = self.due = 0

    @property
    def is_open(self) -> bool:
        return self.slot.has(Status.OPEN)

    def make(self, call: Callable[[], Move]) -> bool:
        """Make the call; return whether the escrow took it."""
        before = self.slot
        try:
            move = call()
        except EscrowRefused:
            return False
        self.slot = move.slot
        self.taken_in += move.taken_in
        for amount in (move.payout.owner, move.payout.fee, move.payout.renter, move.taken_in):
            assert amount >= 0
        self.owner += move.payout.owner
        self.fee += move.payout.fee
        self.renter += move.payout.renter
        assert self.slot.paid >= before.paid
        return True

    @rule(span=SPANS)
    def wait(self, span: int) -> None:
        self.now += span

    @precondition(lambda self: self.is_open)
    @rule(due=MONEY, ceiling=MONEY, acknowledged=MONEY)
    def claim(self, due: int, ceiling: int, acknowledged: int) -> None:
        evidence = {"amount_due": due, "max_claimable": ceiling, "ack_amount": acknowledged, "now": self.now}
        bounds = (
            due,
            ceiling,
            acknowledged + self.agreement.pay.block_max,
            escrow.rate_cap(self.agreement, self.slot, now=self.now),
            escrow.prepaid(self.agreement, self.slot.funded_bps),
        )
        before = self.slot
        owed = escrow.owed(self.agreement, before, **evidence)
        assert all(owed <= bound for bound in bounds)
        if self.make(partial(escrow.claim, self.agreement, before, **evidence)):
            assert self.slot.paid <= max(before.paid, min(owed, acknowledged))
            assert self.slot.paid + self.slot.tail <= max(before.paid + before.tail, owed)

    @precondition(lambda self: self.is_open)
    @rule(share=SHARES)
    def top_up(self, share: int) -> None:
        self.make(partial(escrow.top_up, self.agreement, self.slot, funded_bps=share, now=self.now))

    @precondition(lambda self: self.is_open)
    @rule()
    def exit_early(self) -> None:
        before = self.slot.claim_by
        if self.make(partial(escrow.exit_early, self.agreement, self.slot, now=self.now)):
            assert self.slot.claim_by < before

    @precondition(lambda self: self.is_open)
    @rule(amount=MONEY)
    def claim_damage(self, amount: int) -> None:
        self.make(partial(escrow.claim_damage, self.agreement, self.slot, amount=amount, now=self.now))

    @precondition(lambda self: self.is_open)
    @rule()
    def void_tail(self) -> None:
        self.make(partial(escrow.void_tail, self.slot))

    @precondition(lambda self: self.is_open)
    @rule()
    def dispute(self) -> None:
        self.make(partial(escrow.dispute, self.agreement, self.slot, now=self.now))

    @precondition(lambda self: self.is_open)
    @rule(use=MONEY, damage=st.integers(0, 30_000))
    def close(self, use: int, damage: int) -> None:
        self.make(partial(escrow.close, self.agreement, self.slot, use=use, damage=damage))

    @precondition(lambda self: self.is_open)
    @rule()
    def settle(self) -> None:
        self.make(partial(escrow.settle, self.agreement, self.slot, now=self.now))

    @precondition(lambda self: self.is_open)
    @rule(share=st.integers(0, 100), damage=st.integers(0, 30_000))
    def rule_on_it(self, share: int, damage: int) -> None:
        use = self.slot.due_tail * share // 100
        self.make(partial(escrow.rule, self.agreement, self.slot, use=use, damage=damage, now=self.now))

    @invariant()
    def money_in_is_money_out_and_money_held(self) -> None:
        held = escrow.held(self.agreement, self.slot)
        assert held >= 0
        assert self.taken_in == self.owner + self.fee + self.renter + held

    @invariant()
    def what_is_paid_stays_within_what_is_funded(self) -> None:
        funded = escrow.prepaid(self.agreement, self.slot.funded_bps)
        assert self.slot.paid + self.slot.tail <= funded

    @invariant()
    def the_fee_is_the_one_on_the_whole_and_leaves_at_the_end(self) -> None:
        whole = fee_of(self.slot.paid, self.agreement.pay.fee_bps)
        assert self.fee == (0 if self.is_open else whole)

    def teardown(self) -> None:
        """Whatever happened, anyone alone ends it by the deadlines."""
        if not hasattr(self, "slot") or not self.is_open:
            return
        end = escrow.rule_by(self.agreement, self.slot) + 1
        assert end <= self.agreement.claim_by + self.agreement.rules.challenge_window + 9 * 86_400 + 1
        self.now = max(self.now, end)
        assert self.make(partial(escrow.settle, self.agreement, self.slot, now=self.now))
        assert self.slot.status == Status.DONE
        self.money_in_is_money_out_and_money_held()


TestEscrowWalk = EscrowWalk.TestCase
TestEscrowWalk.settings = settings(max_examples=150, stateful_step_count=25)
