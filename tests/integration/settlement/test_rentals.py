"""Rentals from agreement to bill, on the real chain."""

import pytest

from hireling.rental.bill import envelope_of, verify_bill
from hireling.rental.money import fee_of
from hireling.rental.signing import sign
from hireling.rental.states import State
from hireling.rental.typed_data import to_hex
from services.messages.errors import Conflict
from services.settlement import service
from services.settlement.intake import EARLY_AT_ONCE
from tests.builders import OWNER_AGENT_KEY, OWNER_KEY, a_reading_chain
from tests.chain_rentals import acknowledge, holdings, permit, send
from tests.integration.settlement.market import Market


class TestARental:
    def test_is_funded_used_claimed_closed_and_billed_to_the_base_unit(
        self, market: Market, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(service, "BILL_PART", 1_000)  # so that this bill too comes in parts
        signed = market.funded()
        before = holdings(market.chain, market.stranger, signed)
        readings = a_reading_chain(10, signed=signed)

        market.allow(signed, acknowledge(signed, None))
        market.use(signed, readings[:5])
        market.wait_for_state(signed, State.ACTIVE)
        progress = [market.progress(signed)]
        market.allow(signed, acknowledge(signed, readings[4]))
        market.wait_until(lambda: market.rental(signed).claimed == readings[4].reading.amount_due)

        market.use(signed, readings[5:])
        market.wait_for_state(signed, State.CLOSED)
        use = readings[-1].reading.amount_due
        progress.append(market.progress(signed))
        market.close(signed, by="owner", use=use)
        progress.append(market.progress(signed))
        market.close(signed, by="renter", use=use)
        bill = market.bill(signed)
        progress.append(market.progress(signed))

        assert market.states(signed) == [
            State.AGREED,
            State.FUNDED,
            State.ACTIVE,
            State.CLOSED,
            State.SETTLED,
        ]
        assert verify_bill(bill).total == use == market.rental(signed).claimed
        after = holdings(market.chain, market.stranger, signed)
        assert after["owner"] - before["owner"] == use - fee_of(use, signed.agreement.pay.fee_bps)
        assert after["renter"] == signed.agreement.all_in - use
        assert sum(after.values()) == sum(before.values())
        assert {each.kind for each in bill.bill.transactions} == {"open", "claim", "close"}
        with pytest.raises(Conflict, match="countersigned meanwhile"):
            market.call("get_bill_part", to_hex(signed.rental_id), 1_000, 5)

        device = to_hex(signed.agreement.rules.detail.device)
        waits = {"device": device, "unfinished": True}
        work = [item["rental_id"] for item in market.call("list_rentals", waits)["items"]]
        assert work.count(to_hex(signed.rental_id)) == 1
        signature = sign(OWNER_AGENT_KEY, signed.domain, envelope_of(bill.bill))
        market.call("countersign_bill", to_hex(signed.rental_id), to_hex(signature))
        assert market.rental(signed).countersigned
        progress.append(market.progress(signed))
        assert progress == sorted(set(progress)), "each step is another number"
        assert market.rental(signed).progress == progress[-1]
        work = [item["rental_id"] for item in market.call("list_rentals", waits)["items"]]
        assert to_hex(signed.rental_id) not in work

    def test_is_no_failure_to_fund_what_somebody_else_opened(self, market: Market) -> None:
        signed = market.agreed()
        given = permit(market.chain, market.stranger, value=signed.agreement.all_in)
        send(market.stranger, market.stranger.calls.open(signed, given))

        view = market.fund(signed)  # whether its log was read meanwhile or not
        assert view.state in {State.AGREED, State.FUNDED}
        assert not view.transactions
        market.wait_for_state(signed, State.FUNDED)

    def test_counts_readings_in_order_whatever_order_they_come_in(self, market: Market) -> None:
        signed = market.funded()
        readings = a_reading_chain(10, signed=signed)
        for reading in [*reversed(readings[5:]), *readings[:2], *reversed(readings[2:5])]:
            market.use(signed, [reading])
        market.wait_for_state(signed, State.CLOSED)

        view = market.rental(signed)
        assert (view.seq, view.amount_due, view.refusals) == (9, readings[9].reading.amount_due, 0)
        assert market.states(signed) == [State.AGREED, State.FUNDED, State.ACTIVE, State.CLOSED]

    def test_counts_more_early_readings_than_one_unit_of_work_takes(self, market: Market) -> None:
        signed = market.funded()
        readings = a_reading_chain(2 * EARLY_AT_ONCE + 50, signed=signed)
        for start in range(1, len(readings), 50):
            market.use(signed, readings[start : start + 50])
        market.use(signed, readings[:1])
        market.wait_for_state(signed, State.CLOSED)
        assert market.rental(signed).amount_due == readings[-1].reading.amount_due

    def test_forgets_what_came_early_where_a_reading_before_it_asks_above_the_tariff(
        self, market: Market
    ) -> None:
        signed = market.funded()
        readings = a_reading_chain(6, signed=signed)
        greedy = readings[3].reading.model_copy(update={"amount_due": readings[3].reading.amount_due + 1})
        market.use(signed, readings[4:])
        market.use(signed, [*readings[:3], readings[3].model_copy(update={"reading": greedy})])
        market.wait_for_state(signed, State.CLOSED)

        view = market.rental(signed)
        assert (view.seq, view.amount_due, view.refusals) == (2, readings[2].reading.amount_due, 1)

    def test_ends_and_pays_nothing_more_where_a_reading_asks_above_the_tariff(self, market: Market) -> None:
        signed = market.funded()
        readings = a_reading_chain(6, signed=signed)
        market.use(signed, readings[:3])
        greedy = readings[3].reading.model_copy(update={"amount_due": readings[3].reading.amount_due + 1})
        market.use(signed, [readings[3].model_copy(update={"reading": greedy})])
        market.wait_for_state(signed, State.CLOSED)

        view = market.rental(signed)
        (refusal,) = market.call("get_refusals", to_hex(signed.rental_id))
        assert (view.seq, view.amount_due, view.refusals) == (2, readings[2].reading.amount_due, 1)
        assert (refusal["seq"], refusal["code"], refusal["source"]) == (
            3,
            "amount_above_tariff",
            "settlement",
        )

    def test_lets_the_owner_close_only_after_the_last_reading(self, market: Market) -> None:
        signed = market.funded()
        readings = a_reading_chain(4, signed=signed)
        market.use(signed, readings[:3])
        market.wait_for_state(signed, State.ACTIVE)

        with pytest.raises(Conflict, match="still_running"):
            market.close(signed, by="owner", use=readings[2].reading.amount_due)

    def test_begins_where_the_first_reading_comes_before_the_money_is_confirmed(self, market: Market) -> None:
        signed = market.agreed()
        readings = a_reading_chain(4, signed=signed)
        market.use(signed, readings[:2])
        market.wait_until(lambda: market.rental(signed).seq == 1)
        assert market.rental(signed).state == State.AGREED

        market.fund(signed)
        market.wait_for_state(signed, State.ACTIVE)

    def test_pushes_the_owners_part_to_its_address(self, market: Market) -> None:
        signed = market.funded()
        readings = a_reading_chain(5, signed=signed)
        market.use(signed, readings[:4])
        market.allow(signed, acknowledge(signed, readings[3]))
        market.wait_until(lambda: market.rental(signed).claimed > 0)

        wallet = market.call("get_wallet", to_hex(OWNER_KEY.identity))
        claimed = market.rental(signed).claimed
        assert wallet["balance"] == str(claimed - fee_of(claimed, signed.agreement.pay.fee_bps))
        assert wallet["credit"] == "0"
