"""New rentals are paused by an operator: none is opened, and those that run go on to their end."""

import json
import sqlite3
from pathlib import Path

import pytest

from hireling.rental.states import State
from services.messages.errors import Invalid, Unavailable
from tests.builders import a_reading_chain
from tests.integration.settlement.market import Market

REASON = "the chain is being upgraded"


def test_nothing_is_opened_while_what_runs_goes_on(market: Market) -> None:
    running, waiting = market.funded(), market.agreed(salt=bytes(31) + b"\2")
    market.call("pause_opens", REASON)
    with pytest.raises(Unavailable, match=rf"opens_paused: .*{REASON}"):
        market.fund(waiting)
    assert market.call("platform_terms")["opens_paused"] == REASON

    readings = a_reading_chain(5, signed=running)
    market.use(running, readings)
    market.wait_for_state(running, State.CLOSED)
    use = readings[-1].reading.amount_due
    market.close(running, by="owner", use=use)
    market.close(running, by="renter", use=use)
    assert market.bill(running).bill.total == use

    assert market.call("resume_opens") is True
    market.fund(waiting)
    market.wait_for_state(waiting, State.FUNDED)


def test_what_is_open_already_is_no_new_rental(market: Market) -> None:
    running = market.funded()
    market.call("pause_opens", REASON)
    assert market.fund(running).state is State.FUNDED


def test_a_pause_is_kept_with_its_first_moment_and_noted(market: Market, tmp_path: Path) -> None:
    first = market.call("pause_opens", "one thing")
    second = market.call("pause_opens", "another")
    assert second == {**first, "reason": "another"} == market.call("opens")
    assert market.call("resume_opens") is True
    assert market.call("resume_opens") is False
    assert market.call("opens") is None
    with sqlite3.connect(tmp_path / "settlement.db") as rows:
        noted = rows.execute("SELECT action, detail FROM operator_action ORDER BY id").fetchall()
    rows.close()
    assert [(action, json.loads(detail)["reason"]) for action, detail in noted] == [
        ("pause_opens", "one thing"),
        ("pause_opens", "another"),
        ("resume_opens", "another"),
    ]


def test_a_pause_needs_a_reason(market: Market) -> None:
    with pytest.raises(Invalid, match="say why"):
        market.call("pause_opens", " ")
