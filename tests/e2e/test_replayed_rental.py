"""A recorded machine is rented from end to end: real processes, a real chain, real signatures."""

import json
from pathlib import Path

import pytest

from hireling.rental.reading import ReadingEvent
from hireling.rental.tariff import price
from services.embedded.demo import TraceSettings
from services.embedded.marketplace import Marketplace
from tests.e2e.journey import Sides, Trace, a_trace, bill_of
from tests.e2e.programs import plain

SPEED = 60
DEFAULT_COLUMN = "Active (W)"
MARKETS = ["embedded", pytest.param("stack", marks=pytest.mark.stack)]


@pytest.fixture
def trace(tmp_path: Path) -> Trace:
    """Return the trace that TRACE names (COLUMN its column), or else a made-up one of as many rows."""
    chosen = TraceSettings()
    if chosen.trace is not None:
        return Trace.read(chosen.trace, chosen.column or DEFAULT_COLUMN)
    return a_trace(tmp_path / "motor.csv", rows=502)


@pytest.mark.journey
@pytest.mark.timeout(600)
@pytest.mark.parametrize("market", MARKETS, indirect=True)
def test_pays_exactly_what_the_trace_says(market: Marketplace, trace: Trace, tmp_path: Path) -> None:
    sides = Sides(market, tmp_path)
    renter_address = sides.fill_wallet()["address"]
    escrow = sides.get("/v1/platform")["escrow"]
    with sides.device(*trace.driver(SPEED)) as device:
        ready = device.of("device_ready")[0]
        before = {who: sides.wealth(who) for who in (renter_address, ready["owner"])}
        held_before = int(sides.get(f"/v1/wallets/{escrow}")["balance"])
        with sides.renter(ready["device"]) as renter:
            signed = bill_of(renter)
        device.wait_for("bill_countersigned", within=30)
    bill = signed.bill

    # What was metered is the trace, row by row.
    events = [reading.reading.sample.event for reading in bill.readings]
    assert events.count(ReadingEvent.CONTINUE) == trace.rows
    assert (events[0], events[-1]) == (ReadingEvent.BEGIN, ReadingEvent.END)
    names = [spec.name for spec in bill.rental.offer.tariff.counters]
    assert dict(zip(names, bill.counters, strict=True))["energy_mJ"] == trace.energy_mj

    # What was paid is what was metered, to the base unit; nothing stays in the escrow but the platform's fee.
    assert bill.total == price(bill.rental.offer.tariff, bill.counters)
    assert sides.wealth(renter_address) == before[renter_address] - bill.total
    assert sides.wealth(ready["owner"]) == before[ready["owner"]] + bill.total - bill.fee
    assert int(sides.get(f"/v1/wallets/{escrow}")["balance"]) == held_before + bill.fee
    view = sides.get(f"/v1/rentals/0x{signed.bill.rental.rental_id.hex()}")
    assert (view["state"], int(view["claimed"])) == ("SETTLED", bill.total)

    # Anyone can check it without us, and one altered digit is found and named.
    path = Path(renter.of("bill")[0]["path"])
    market.stop()
    assert plain("verify", str(path)).returncode == 0
    altered = json.loads(path.read_bytes())
    reading = altered["bill"]["readings"][137]["reading"]
    assert reading["seq"] == "137"
    reading["sample"]["counters"][0] = str(int(reading["sample"]["counters"][0]) ^ 1)
    forged = tmp_path / "altered.json"
    forged.write_text(json.dumps(altered))
    refused = plain("verify", str(forged))
    assert refused.returncode == 1
    assert "reading 137: signature does not match" in refused.stdout + refused.stderr
