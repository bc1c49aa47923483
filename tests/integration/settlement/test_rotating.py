"""A new relayer takes over while rentals run, and nothing is sent twice or left behind."""

import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from hireling.rental.states import State
from hireling.rental.typed_data import to_hex
from services.settlement import office
from services.settlement.keys import Keys
from services.settlement.settings import SettlementSettings
from tests.builders import a_reading_chain
from tests.chain_rentals import acknowledge, door
from tests.integration.settlement.market import Market


def signing(market: Market) -> str:
    found: str = next(each["address"] for each in market.call("list_relayers") if each["signs"])
    return found


def test_a_running_rental_is_claimed_and_closed_by_the_new_relayer(market: Market, tmp_path: Path) -> None:
    signed = market.funded()
    first = signing(market)
    assert market.call("platform_terms")["fee_to"] == first

    readings = a_reading_chain(10, signed=signed)
    market.use(signed, readings[:5])
    market.allow(signed, acknowledge(signed, readings[4]))
    _, second = market.call("rotate_relayer")
    assert not second["signs"]
    market.wait_until(lambda: signing(market) == second["address"])
    assert second["address"] != first

    market.use(signed, readings[5:])
    market.wait_for_state(signed, State.CLOSED)
    use = readings[-1].reading.amount_due
    market.close(signed, by="owner", use=use)
    market.close(signed, by="renter", use=use)
    assert market.bill(signed).bill.total == use
    assert market.call("reconcile", None, 200)["differences"] == []

    old, new = (door(market.chain, key=Keys(SettlementSettings()).relayer(number)) for number in (0, 1))
    assert (to_hex(old.relayer), to_hex(new.relayer)) == (first, second["address"])
    with closing(sqlite3.connect(tmp_path / "settlement.db")) as file:
        signed_off = file.execute(
            "SELECT count(*) FROM chain_transaction WHERE status IN ('confirmed', 'mined', 'sent')"
        ).fetchone()[0]
    assert new.nonce() > 0
    assert old.nonce() + new.nonce() == signed_off, "each intent was mined once, by one of them"


def test_each_relayer_may_be_followed_by_another(market: Market) -> None:
    signed = market.funded()
    for number in (1, 2):
        newest = market.call("rotate_relayer")[-1]
        assert newest["number"] == number
        market.wait_until(lambda address=newest["address"]: signing(market) == address)
    assert market.rental(signed).state is State.FUNDED


def test_one_without_coin_waits_and_holds_up_nobody(market: Market, monkeypatch: pytest.MonkeyPatch) -> None:
    first = signing(market)
    monkeypatch.setattr(office, "LEAST_FUEL", 10**30)
    once = market.call("rotate_relayer")
    assert market.call("rotate_relayer") == once, "one at a time"
    market.funded()
    assert signing(market) == first
