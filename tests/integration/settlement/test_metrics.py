"""What settlement shows of rentals, money, claims and the chain, read from its endpoint."""

import time

import pytest

from hireling.rental.states import State
from hireling.rental.typed_data import to_hex
from services.chassis.metrics import serve_metrics
from tests.builders import a_reading_chain
from tests.chain import free_port
from tests.chain_rentals import acknowledge
from tests.integration.settlement.market import Market
from tests.metrics import scrape


def test_shows_the_money_of_a_rental_from_its_funding_to_its_end(
    market: Market, monkeypatch: pytest.MonkeyPatch
) -> None:
    port = free_port()
    monkeypatch.setenv("SETTLEMENT_METRICS_PORT", str(port))
    serve_metrics("settlement")
    claims = scrape(port)("hireling_settlement_claims_total", outcome="claimed")
    signed = market.funded()
    token = to_hex(signed.agreement.pay.token)
    everything = signed.agreement.all_in

    def money(name: str) -> float:
        return scrape(port)(f"hireling_settlement_{name}_base_units", token=token)

    market.wait_until(lambda: money("held") == everything)
    # The chain tells of the money before the rental's state follows from it.
    market.wait_until(lambda: scrape(port)("hireling_settlement_rentals", state="FUNDED") == 1)
    assert money("paid") == money("disputed") == 0

    def head_is_the_newest_block() -> bool:
        asked = time.time()
        age = scrape(port)("hireling_settlement_chain_head_age_seconds")
        return asked <= market.chain.now() + age <= time.time()

    market.wait_until(head_is_the_newest_block)

    readings = a_reading_chain(10, signed=signed)
    market.use(signed, readings)
    market.allow(signed, acknowledge(signed, readings[4]))
    market.wait_until(lambda: scrape(port)("hireling_settlement_claims_total", outcome="claimed") > claims)
    use = readings[-1].reading.amount_due
    market.wait_for_state(signed, State.CLOSED)
    market.close(signed, by="owner", use=use)
    market.close(signed, by="renter", use=use)
    market.wait_until(lambda: (money("held"), money("paid")) == (0, use))
    market.wait_until(lambda: scrape(port)("hireling_settlement_rentals", state="SETTLED") == 1)
    assert scrape(port)("hireling_settlement_transactions_total", kind="close", outcome="confirmed") >= 1
