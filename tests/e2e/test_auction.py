"""A Dutch auction by the command line: who takes the clock's price gets the machine, and both agents sign."""

from pathlib import Path
from typing import Any

import pytest

from services.embedded.marketplace import Marketplace
from tests.e2e.programs import run_to_end, running

WITHIN = 120.0


def told(events: list[dict[str, Any]], name: str) -> dict[str, Any]:
    """Return the one event of this name."""
    (event,) = [event for event in events if event["event"] == name]
    return event


@pytest.mark.journey
@pytest.mark.timeout(400)
def test_who_takes_the_clocks_price_gets_the_machine_for_it(
    common_market: Marketplace, tmp_path: Path
) -> None:
    gateway, log = common_market.settings.gateway_url, tmp_path / "log"
    as_owner, as_renter = (
        ("--home", str(tmp_path / name), "--gateway", gateway) for name in ("owner", "renter")
    )
    run_to_end("wallet", "faucet", *as_renter, log=log, within=WITHIN)
    machine = ("device", "run", "--driver", "replay", "--name", "kettle", "--speed", "200")
    with running(*machine, *as_owner, log=log) as device:
        device.wait_for("listed", within=WITHIN)
        notice = ("auction", "open", "dutch", "--machine", "kettle", "--seconds", "60")
        # The clock stands long at its first price: the command that bids may take a while to start.
        times = ("--opens-in", "1", "--step", "80", "--award", "600")
        opened = told(run_to_end(*notice, *times, *as_owner, log=log, within=WITHIN)[1], "auction")
        auction = opened["auction"]
        early = run_to_end("rent", "--auction", auction, *as_renter, log=log, within=WITHIN)
        assert (early[0], told(early[1], "error")["code"]) == (2, "bad_input")

        bid = ("auction", "bid", auction, *as_renter)
        best = told(run_to_end(*bid, log=log, within=WITHIN)[1], "bid")
        assert best["phase"] == "over"
        again = run_to_end(*bid, "--amount", opened["least"].split()[0], log=log, within=WITHIN)
        assert (again[0], told(again[1], "error")["code"]) == (1, "already_sold")

        with running("rent", "--auction", auction, *as_renter, log=log) as winner:
            assert winner.wait_for("agreed", within=WITHIN)["max_total"] == best["amount"]
            winner.wait_for("funded", within=WITHIN)
        verified = run_to_end("auction", "verify", auction, *as_renter, log=log, within=WITHIN)
        assert verified[0] == 0
        assert told(verified[1], "auction_verified")["auction"] == auction
