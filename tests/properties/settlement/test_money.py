"""Money in is money out and money held, nothing is paid beyond its bounds, and every rental ends."""

from hypothesis import given, settings
from hypothesis import strategies as st

from hireling.rental import escrow_math
from hireling.rental.escrow_math import Status
from tests.builders import NOW, signed_agreement
from tests.properties.settlement.walks import WALKS, Claim, Model, Step, share

SIGNED = signed_agreement()
OPENED_AT = int(NOW.timestamp()) + 60


class TestRandomRentals:
    @settings(max_examples=200, deadline=None)
    @given(WALKS)
    def test_conserve_money_at_every_step_and_pay_everything_out_in_the_end(self, walk: list[Step]) -> None:
        model = Model.opened(SIGNED, now=OPENED_AT)
        for step in walk:
            model.take(step)
            assert model.came_in == model.owner + model.fee + model.renter + model.held

        model.finish()

        assert model.slot.has(Status.DONE)
        assert model.held == 0
        assert model.came_in == model.owner + model.fee + model.renter

    @settings(max_examples=200, deadline=None)
    @given(WALKS)
    def test_never_pay_a_claim_beyond_any_of_its_bounds(self, walk: list[Step]) -> None:
        model = Model.opened(SIGNED, now=OPENED_AT)
        pay = SIGNED.agreement.pay
        for step in walk:
            before = model.slot
            if model.take(step) and isinstance(step, Claim):
                bounds = {
                    "the reading": share(pay.max_total, step.amount_due),
                    "the ceiling": share(pay.max_total, step.max_claimable),
                    "one block beyond": share(pay.max_total, step.ack_amount) + pay.block_max,
                    "time": escrow_math.rate_cap(SIGNED.agreement, before, now=model.now),
                    "the prepaid money": escrow_math.prepaid(SIGNED.agreement, before.funded_bps),
                }
                floor = before.paid + before.tail
                for name, bound in bounds.items():
                    assert model.slot.paid + model.slot.tail <= max(bound, floor), name
            assert model.slot.paid >= before.paid

    @settings(max_examples=100, deadline=None)
    @given(WALKS, st.integers(1, 5))
    def test_do_nothing_more_once_they_are_done(self, walk: list[Step], again: int) -> None:
        model = Model.opened(SIGNED, now=OPENED_AT)
        for step in walk:
            model.take(step)
        model.finish()
        paid = (model.owner, model.fee, model.renter)

        for step in walk * again:
            assert not model.take(step)

        assert (model.owner, model.fee, model.renter) == paid
