"""Random lives of a rental: what its parties do, in any order, with time jumping between.

Some vanish, which is doing nothing.
"""

from dataclasses import dataclass

from hypothesis import strategies as st

from hireling.rental import escrow_math
from hireling.rental.agreement import SignedAgreement
from hireling.rental.errors import EscrowRefused
from hireling.rental.escrow_math import Move, Payout, Slot, Status
from hireling.rental.terms import Agreement


@dataclass(frozen=True)
class Step:
    """Something done ``after`` seconds.

    Amounts are in ten-thousandths of the total, so that any walk fits any rental.
    """

    after: int


@dataclass(frozen=True)
class Claim(Step):
    """A claim with both keys."""

    amount_due: int
    max_claimable: int
    ack_amount: int


@dataclass(frozen=True)
class Exit(Step):
    """A notice."""


@dataclass(frozen=True)
class Close(Step):
    """An end by both signatures."""

    use: int
    damage: int


@dataclass(frozen=True)
class Dispute(Step):
    """The renter objects to the tail."""


@dataclass(frozen=True)
class Settle(Step):
    """Anyone settles."""


# Most of the interesting moments lie within an hour, the windows, or the nine days of a dispute.
LATER = st.one_of(st.integers(1, 120), st.integers(60, 7_200), st.integers(3_600, 900_000))
SHARE = st.integers(0, 12_000)
STEPS = st.one_of(
    st.builds(Claim, after=LATER, amount_due=SHARE, max_claimable=SHARE, ack_amount=SHARE),
    st.builds(Claim, after=st.integers(1, 600), amount_due=SHARE, max_claimable=SHARE, ack_amount=SHARE),
    st.builds(Exit, after=LATER),
    st.builds(Close, after=LATER, use=SHARE, damage=st.sampled_from([0, 0, 0, 5_000, 11_000])),
    st.builds(Dispute, after=LATER),
    st.builds(Settle, after=LATER),
)
WALKS = st.lists(STEPS, min_size=1, max_size=8)


def share(amount: int, ten_thousandths: int) -> int:
    """Return that share of an amount."""
    return amount * ten_thousandths // 10_000


@dataclass
class Model:
    """The escrow in Python, walking: what it holds, and what came in and went out."""

    agreement: Agreement
    slot: Slot
    now: int
    came_in: int
    owner: int = 0
    fee: int = 0
    renter: int = 0

    @classmethod
    def opened(cls, signed: SignedAgreement, *, now: int) -> "Model":
        """Return the model of a rental that was just funded wholly."""
        move = escrow_math.open_slot(signed.agreement, funded_bps=10_000, now=now)
        return cls(signed.agreement, move.slot, now, move.taken_in)

    def take(self, step: Step) -> bool:
        """Walk a step; return whether the escrow allowed it."""
        self.now += step.after
        try:
            move = self._move(step)
        except EscrowRefused:
            return False
        self.slot = move.slot
        self._count(move.payout)
        self.came_in += move.taken_in
        return True

    @property
    def held(self) -> int:
        """Return what the escrow holds for the rental."""
        return escrow_math.held(self.agreement, self.slot)

    def finish(self) -> None:
        """Everybody has vanished but a stranger, who settles when the last deadline has passed."""
        self.now = max(self.now, escrow_math.rule_by(self.agreement, self.slot)) + 1
        if self.slot.has(Status.OPEN):
            assert self.take(Settle(after=0))

    def _count(self, payout: Payout) -> None:
        self.owner += payout.owner
        self.fee += payout.fee
        self.renter += payout.renter

    def _move(self, step: Step) -> Move:
        agreement, slot, now = self.agreement, self.slot, self.now
        total = agreement.pay.max_total
        if isinstance(step, Claim):
            return escrow_math.claim(
                agreement,
                slot,
                amount_due=share(total, step.amount_due),
                max_claimable=share(total, step.max_claimable),
                ack_amount=share(total, step.ack_amount),
                now=now,
            )
        if isinstance(step, Close):
            damage = share(agreement.rules.deposit, step.damage)
            return escrow_math.close(agreement, slot, use=share(total, step.use), damage=damage)
        if isinstance(step, Exit):
            return escrow_math.exit_early(agreement, slot, now=now)
        if isinstance(step, Dispute):
            return escrow_math.dispute(agreement, slot, now=now)
        return escrow_math.settle(agreement, slot, now=now)
