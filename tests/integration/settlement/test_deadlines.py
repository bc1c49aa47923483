"""Deadlines that settlement keeps, by the chain's time, on the real chain."""

import pytest

from hireling.rental.bill import verify_bill
from hireling.rental.close import Exit
from hireling.rental.signing import sign
from hireling.rental.states import State
from hireling.rental.typed_data import to_hex
from services.messages.errors import Conflict, Refused
from tests.builders import OWNER_KEY, RENTER_AGENT_KEY, a_reading_chain
from tests.chain_rentals import acknowledge, close_call, holdings, permit, send
from tests.integration.settlement.market import Market


class TestDeadlines:
    def test_a_rental_that_nobody_funded_expires_without_a_fee(self, market: Market) -> None:
        signed = market.agreed()
        market.chain.travel_to(signed.agreement.rules.fund_by + 1)
        market.wait_for_state(signed, State.EXPIRED)

        given = permit(market.chain, market.stranger, value=signed.agreement.all_in)
        with pytest.raises(Conflict, match="rental_expired"):
            market.call("fund", to_hex(signed.rental_id), given.model_dump(mode="json"))
        view = market.rental(signed)
        assert (view.claimed, view.fee, view.funded, view.transactions) == (0, 0, 0, ())

    def test_a_rental_that_never_began_is_cancelled_and_its_money_comes_back(self, market: Market) -> None:
        signed = market.funded()
        market.let_time_pass(lambda: State.CANCELLED in market.states(signed))
        assert market.rental(signed).refund == 0

        market.chain.travel_to(signed.agreement.claim_by + 1)
        bill = market.bill(signed)

        assert market.rental(signed).refund == signed.agreement.all_in
        assert holdings(market.chain, market.stranger, signed)["renter"] == signed.agreement.all_in
        assert verify_bill(bill).total == 0
        assert bill.bill.deposit_returned == signed.agreement.rules.deposit

    def test_a_zero_close_by_both_sides_brings_the_money_back_at_once(self, market: Market) -> None:
        signed = market.funded()
        market.close(signed, by="owner", use=0)
        market.close(signed, by="renter", use=0)
        market.wait_for_state(signed, State.CANCELLED)

        assert holdings(market.chain, market.stranger, signed)["renter"] == signed.agreement.all_in

    def test_where_the_renter_vanishes_claims_and_settlement_need_no_close(self, market: Market) -> None:
        signed = market.funded()
        readings = a_reading_chain(30, signed=signed)
        market.allow(signed, acknowledge(signed, readings[9]))
        market.use(signed, readings)
        market.wait_for_state(signed, State.CLOSED)
        market.close(signed, by="owner", use=readings[-1].reading.amount_due)
        market.wait_until(lambda: market.rental(signed).claimed == readings[9].reading.amount_due)

        market.chain.travel_to(signed.agreement.claim_by + 1)
        market.wait_for_state(signed, State.SETTLING)
        market.chain.travel_to(signed.agreement.claim_by + signed.agreement.rules.challenge_window + 1)
        market.wait_for_state(signed, State.SETTLED)

        use = readings[-1].reading.amount_due
        bill = market.bill(signed)
        view = market.rental(signed)
        assert (view.claimed, view.refund) == (use, signed.agreement.all_in - use)
        assert verify_bill(bill).total == use

    def test_where_the_device_vanishes_the_rental_ends_at_its_last_reading(self, market: Market) -> None:
        signed = market.funded()
        readings = a_reading_chain(30, signed=signed)
        market.allow(signed, acknowledge(signed, readings[9]))
        market.use(signed, readings[:10])
        market.wait_for_state(signed, State.ACTIVE)

        market.chain.travel_to(signed.agreement.rules.end_by + 1)
        market.wait_for_state(signed, State.ENDING)
        market.chain.travel(seconds=11 * 60)
        market.wait_for_state(signed, State.CLOSED)
        use = readings[9].reading.amount_due
        market.wait_until(lambda: market.rental(signed).claimed == use)
        market.chain.travel_to(signed.agreement.claim_by + 1)
        market.wait_for_state(signed, State.SETTLED)

        assert market.rental(signed).claimed == use
        assert verify_bill(market.bill(signed)).total == use

    def test_an_exit_ends_the_rental_after_its_notice(self, market: Market) -> None:
        signed = market.funded()
        readings = a_reading_chain(10, signed=signed)
        market.use(signed, readings[:5])
        wish = sign(RENTER_AGENT_KEY, signed.domain, Exit(rental_id=signed.rental_id))
        market.call("submit_exit", to_hex(signed.rental_id), {"by": "renter", "signature": to_hex(wish)})
        before = market.rental(signed).deadline
        assert before is not None
        market.wait_until(lambda: (market.rental(signed).deadline or before) < before)

        market.chain.travel(seconds=signed.agreement.rules.notice + 60)
        market.wait_for_state(signed, State.ENDING)

    def test_an_exit_that_neither_side_signed_is_refused(self, market: Market) -> None:
        signed = market.funded()
        wish = sign(RENTER_AGENT_KEY, signed.domain, Exit(rental_id=signed.rental_id))

        with pytest.raises(Refused, match="wrong_signer"):
            market.call("submit_exit", to_hex(signed.rental_id), {"by": "owner", "signature": to_hex(wish)})


class TestTheEscrowIsUsedDirectly:
    def test_settlement_follows_a_close_that_it_did_not_send(self, market: Market) -> None:
        signed = market.funded()
        readings = a_reading_chain(10, signed=signed)
        market.use(signed, readings)
        market.allow(signed, acknowledge(signed, readings[-1]))
        market.wait_for_state(signed, State.CLOSED)

        use = readings[-1].reading.amount_due
        send(market.stranger, close_call(market.stranger, signed, use=use))
        market.wait_for_state(signed, State.SETTLED)

        assert market.rental(signed).claimed == use
        assert market.stranger.wallet(OWNER_KEY.identity).balance > 0
