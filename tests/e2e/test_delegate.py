"""A machine that never answers is rented: its owner's delegate at the platform bargains for it."""

import json
import time
from pathlib import Path

import pytest

from hireling.rental.session_document import SessionDocument, verify_session
from hireling.rental.tariff import price
from services.embedded.marketplace import Marketplace
from tests.e2e.journey import (
    RENTAL_WITHIN,
    SHORT_ROWS,
    SHORT_SPEED,
    START_WITHIN,
    Sides,
    a_trace,
    bill_of,
)
from tests.e2e.programs import Event, run_to_end

NAME = "e2e machine"
WISHES = "never over 90 %"


def owner_runs(sides: Sides, *arguments: str) -> list[Event]:
    """Run a command of the owner's to its end; return what it said."""
    places = ["--home", str(sides.home / "device"), "--gateway", sides.market.settings.gateway_url]
    log = sides.home / "owner.log"
    code, events = run_to_end(*arguments, *places, log=log, within=START_WITHIN)
    assert code == 0, events
    return events


def until_online(sides: Sides) -> None:
    """Wait for the machine's next sign of life."""
    deadline = time.monotonic() + START_WITHIN
    while not sides.get("/v1/listings?online=true")["items"]:
        assert time.monotonic() < deadline, "the machine gave no sign of life"
        time.sleep(0.2)


@pytest.mark.journey
@pytest.mark.timeout(600)
def test_a_machine_that_never_answers_is_rented_through_its_owners_delegate(
    embedded_market: Marketplace, tmp_path: Path
) -> None:
    sides = Sides(embedded_market, tmp_path)
    sides.fill_wallet()
    machine = a_trace(tmp_path / "motor.csv", rows=SHORT_ROWS)
    with sides.device(*machine.driver(SHORT_SPEED)) as device:
        [appointed, _] = owner_runs(sides, "delegate", "appoint", "--name", NAME, "--floor", "70")
        device.wait_for("delegate_speaks", within=START_WITHIN, where={"delegate": appointed["delegate"]})
        # A copy of the platform that was killed opens the delegate's key again, and misses no move.
        embedded_market.platform.kill()
        embedded_market.revive()
        until_online(sides)
        with sides.renter(device.of("device_ready")[0]["device"], "--says", WISHES) as renter:
            signed = bill_of(renter)
        device.wait_for("bill_countersigned", within=RENTAL_WITHIN)
        said = {event["event"] for event in device.events}
        owner_runs(sides, "delegate", "revoke", "--name", NAME)

    # The delegate bargained, inside its bounds; the machine unlocked, metered and closed, and never answered.
    bill = signed.bill
    assert not said & {"quoted", "agreement_signed", "quote_left"}
    assert said >= {"unlocked", "close_signed"}
    assert bill.rental.agreement.rules.owner_agent == bytes.fromhex(appointed["delegate"][2:])
    assert bill.total == price(bill.rental.offer.tariff, bill.counters)
    quote_id = bill.rental.offer.quote_id
    document = SessionDocument.model_validate_json(json.dumps(sides.get(f"/v1/quotes/{quote_id}/documents")))
    assert any("appointed" in check for check in verify_session(document).checks)
    assert len(document.offers) > 2

    # Its owner reads why; the appointment is over, and nobody holds its key any more.
    told = owner_runs(sides, "why", quote_id)
    assert {"delegate_move", "story"} <= {event["event"] for event in told}
    assert not (tmp_path / "device" / "devices" / "e2e-machine" / "delegate.json").exists()
