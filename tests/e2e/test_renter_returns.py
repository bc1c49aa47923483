"""The renter's agent is killed (-9) in the middle of a rental, and goes on with the same one to its bill."""

from pathlib import Path

import pytest

from services.embedded.marketplace import Marketplace
from tests.e2e.journey import (
    RENTAL_WITHIN,
    Sides,
    a_trace,
    assert_as_if_nothing_had_happened,
    bill_of,
    reaches,
)

SPEED = 20  # slow enough to be in the middle of something when the power goes


@pytest.mark.journey
def test_a_killed_renter_goes_on_with_the_same_rental(common_market: Marketplace, tmp_path: Path) -> None:
    sides = Sides(common_market, tmp_path)
    trace = a_trace(tmp_path / "motor.csv", rows=240)
    sides.fill_wallet()
    with sides.device(*trace.driver(SPEED)) as device:
        listed = device.of("device_ready")[0]["device"]
        with sides.renter(listed) as renter:
            reaches(renter, 60)
            renter.kill()
        with sides.renter(listed, "--resume") as again:
            signed = bill_of(again)
        device.wait_for("bill_countersigned", within=RENTAL_WITHIN)

    (agreed,) = renter.of("agreed")
    assert f"0x{signed.bill.rental.rental_id.hex()}" == agreed["rental_id"]
    assert again.of("agreed") == []
    assert_as_if_nothing_had_happened(signed, trace)
