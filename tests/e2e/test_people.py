"""People over their agents, by the command line: caps, an approval, a stop, and why it came to that deal."""

from pathlib import Path
from typing import Any

import pytest

from services.embedded.marketplace import Marketplace
from tests.e2e.programs import plain, run_to_end, running

WITHIN = 90.0


def told(events: list[dict[str, Any]], name: str) -> dict[str, Any]:
    """Return the one event of this name."""
    (event,) = [event for event in events if event["event"] == name]
    return event


@pytest.mark.journey
@pytest.mark.timeout(400)
def test_a_person_caps_approves_stops_and_asks_why(common_market: Marketplace, tmp_path: Path) -> None:
    gateway = common_market.settings.gateway_url
    owner_home, renter_home = str(tmp_path / "owner"), str(tmp_path / "renter")
    as_owner, as_renter = (
        ("--home", owner_home, "--gateway", gateway),
        ("--home", renter_home, "--gateway", gateway),
    )
    log = tmp_path / "log"
    run_to_end("wallet", "faucet", *as_renter, log=log, within=WITHIN)
    grant = ("mandate", "grant", "--per-rental", "5", "--total", "6", "--kind", "appliance")
    granted = told(run_to_end(*grant, *as_renter, log=log, within=WITHIN)[1], "mandate_granted")

    machine = ("device", "run", "--driver", "replay", "--name", "kettle", "--speed", "200", "--flat", "0.01")
    says = ("--says", "never under 85 %, full deposit", "--approval-above", "0.01")
    with running(*machine, *says, *as_owner, log=log) as device:
        device.wait_for("listed", within=WITHIN)
        rent = ("rent", "--device", device.of("device_ready")[0]["device"])
        with running(*rent, "--says", "shorter is fine, never over 95 %", *as_renter, log=log) as renter:
            question = device.wait_for("approval_wanted", within=WITHIN)
            waiting = told(run_to_end("approve", *as_owner, log=log, within=WITHIN)[1], "approval_wanted")
            assert waiting["rental_id"] == question["rental_id"]
            run_to_end("approve", question["quote_id"][:10], *as_owner, log=log, within=WITHIN)
            agreed = renter.wait_for("agreed", within=WITHIN)
            assert agreed["rental_id"] == question["rental_id"]
            bill = renter.wait_for("bill", within=WITHIN)
            assert renter.join(within=WITHIN) == 0

        # What the rental did not use is the mandate's again.
        account = told(run_to_end("mandate", "show", *as_renter, log=log, within=WITHIN)[1], "mandate")
        assert account["mandate"] == granted["mandate"]
        assert (account["reserved"], account["spent"]) == ("0", bill["total"])
        assert int(account["left"]) == 6_000_000 - int(bill["total"])

        # Both sides' reasons, in words and as a picture.
        why = plain("why", question["quote_id"], "--home", renter_home, "--also", owner_home)
        assert why.returncode == 0, why.stderr
        assert "of price it would take only 86 to 100 %" in why.stdout
        assert "the deal: price " in why.stdout
        assert (tmp_path / "renter" / "pictures" / f"{question['quote_id']}.svg").exists()

        # Stopped, the owner's agent answers nobody and the marketplace asks it nothing.
        stopped = run_to_end("stop", "--machine", "kettle", *as_owner, log=log, within=WITHIN)
        assert stopped[0] == 0
        code, events = run_to_end(*rent, *as_renter, log=log, within=WITHIN)
        assert code == 1
        assert "stopped this agent" in told(events, "error")["detail"]
        run_to_end("go", "--machine", "kettle", *as_owner, log=log, within=WITHIN)

        # And so is the renter's, by its own person.
        run_to_end("stop", *as_renter, log=log, within=WITHIN)
        code, events = run_to_end(*rent, *as_renter, log=log, within=WITHIN)
        assert code == 1
        assert "stopped every agent" in told(events, "error")["detail"]
