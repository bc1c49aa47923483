"""Our books are held against the escrow, rental by rental, and a difference is told."""

import sqlite3
from collections.abc import Sequence
from pathlib import Path
from typing import Literal

import pytest

from hireling.rental.states import State
from hireling.rental.typed_data import to_hex
from services.chassis.metrics import serve_metrics
from services.messages.errors import Invalid, Unavailable
from services.messages.settlement import Difference, Reconciled
from tests.builders import a_reading_chain
from tests.chain import free_port
from tests.chain_rentals import acknowledge
from tests.integration.settlement.market import Market
from tests.metrics import scrape


def reconciled(market: Market, *, limit: int = 200, cursor: str | None = None) -> Reconciled:
    return Reconciled.model_validate(market.call("reconcile", cursor, limit))


def reconciled_if_read(market: Market) -> Sequence[Difference] | Literal["unread"]:
    """Return the differences, or that no block was read yet."""
    try:
        return reconciled(market).differences
    except Unavailable:
        return "unread"


class TestReconcile:
    def test_agrees_with_the_chain_through_a_rentals_life(self, market: Market) -> None:
        signed = market.funded()
        first = reconciled(market)
        assert (first.checked, first.differences) == (1, ())
        assert first.held == signed.agreement.all_in == first.escrowed

        readings = a_reading_chain(10, signed=signed)
        market.use(signed, readings)
        market.allow(signed, acknowledge(signed, readings[4]))
        market.wait_until(lambda: market.rental(signed).claimed > 0)
        in_use = reconciled(market)
        assert in_use.differences == ()
        assert in_use.held == in_use.escrowed < first.held

        market.wait_for_state(signed, State.CLOSED)
        use = readings[-1].reading.amount_due
        market.close(signed, by="owner", use=use)
        market.close(signed, by="renter", use=use)
        market.wait_for_state(signed, State.SETTLED)
        assert reconciled(market).differences == ()
        assert reconciled(market).held == 0

    def test_tells_of_a_rental_whose_books_are_wrong(
        self, market: Market, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        port = free_port()
        monkeypatch.setenv("SETTLEMENT_METRICS_PORT", str(port))
        serve_metrics("settlement")
        signed = market.funded()
        token = to_hex(signed.agreement.pay.token)
        with sqlite3.connect(tmp_path / "settlement.db", timeout=30) as books:
            books.execute("UPDATE rental SET paid = '7'")
        (found,) = reconciled(market).differences
        assert (found.rental_id, found.amount) == (signed.rental_id, 7)
        assert "paid 7" in found.books
        assert "paid 0" in found.chain
        market.wait_until(
            lambda: scrape(port)("hireling_settlement_drift_base_units", token=token) == found.amount
        )

        # As the runbook tells to recover: the logs are read again, and the books made of them.
        market.call("reread", 0)
        market.wait_until(lambda: not reconciled_if_read(market))
        market.wait_until(lambda: scrape(port)("hireling_settlement_drift_base_units", token=token) == 0)

    def test_goes_page_by_page(self, market: Market) -> None:
        everyone = {market.funded().rental_id, market.funded().rental_id}
        assert len(everyone) == 2
        first = reconciled(market, limit=1)
        assert first.next is not None
        second = reconciled(market, limit=1, cursor=first.next)
        assert (first.checked, second.checked) == (1, 1)
        last = reconciled(market, limit=1, cursor=second.next)
        assert (last.checked, last.next) == (0, None)

    def test_refuses_an_endless_page(self, market: Market) -> None:
        with pytest.raises(Invalid):
            reconciled(market, limit=1_000)
