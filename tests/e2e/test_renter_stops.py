"""The renter ends a rental early, by Ctrl-C or by the clock: the bill is of what was used."""

import signal
from pathlib import Path

import pytest

from hireling.rental.bill import SignedBill
from hireling.rental.reading import ReadingEvent
from services.embedded.marketplace import Marketplace
from tests.e2e.journey import RENTAL_WITHIN, Sides, Trace, a_trace, bill_of, reaches

SPEED = 20


@pytest.fixture
def trace(tmp_path: Path) -> Trace:
    """Return a machine that runs for longer than any test lasts."""
    return a_trace(tmp_path / "motor.csv", rows=2_400)


@pytest.mark.journey
def test_ctrl_c_stops_the_machine_and_brings_the_bill(
    common_market: Marketplace, trace: Trace, tmp_path: Path
) -> None:
    sides = Sides(common_market, tmp_path)
    sides.fill_wallet()
    with sides.device(*trace.driver(SPEED)) as device:
        with sides.renter(device.of("device_ready")[0]["device"]) as renter:
            reaches(renter, 20)
            renter.process.send_signal(signal.SIGINT)
            signed = bill_of(renter)
        ended = device.wait_for("ended", within=RENTAL_WITHIN)
    assert ended["reason"] == "renter_stopped"
    assert_cut_short(signed, trace)


@pytest.mark.journey
def test_stop_after_stops_the_machine_by_the_clock(
    common_market: Marketplace, trace: Trace, tmp_path: Path
) -> None:
    sides = Sides(common_market, tmp_path)
    sides.fill_wallet()
    with sides.device(*trace.driver(SPEED)) as device:
        with sides.renter(device.of("device_ready")[0]["device"], "--stop-after", "3") as renter:
            signed = bill_of(renter)
        ended = device.wait_for("ended", within=RENTAL_WITHIN)
    assert ended["reason"] == "renter_stopped"
    assert_cut_short(signed, trace)


def assert_cut_short(signed: SignedBill, trace: Trace) -> None:
    """The bill ends with a last reading, before the machine's work was done."""
    last = signed.bill.readings[-1].reading
    assert last.sample.event is ReadingEvent.END
    assert last.last
    assert 1 < len(signed.bill.readings) < trace.rows
    assert 0 < signed.bill.counters[0] < trace.energy_mj
    assert signed.bill.total == last.amount_due
