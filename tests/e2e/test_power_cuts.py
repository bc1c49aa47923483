"""Processes are killed in the middle of a rental (-9), and the bill is what it would have been."""

from pathlib import Path

import pytest

from services.embedded.marketplace import Marketplace
from tests.e2e.journey import (
    RENTAL_WITHIN,
    START_WITHIN,
    Sides,
    Trace,
    a_trace,
    assert_as_if_nothing_had_happened,
    bill_of,
    reaches,
)
from tests.e2e.programs import running

SPEED = 20  # slow enough to be in the middle of something when the power goes


@pytest.fixture
def trace(tmp_path: Path) -> Trace:
    """Return a trace that takes some 12 s to replay."""
    return a_trace(tmp_path / "motor.csv", rows=240)


@pytest.mark.journey
@pytest.mark.timeout(600)
def test_a_killed_device_goes_on_with_the_same_rental(
    common_market: Marketplace, trace: Trace, tmp_path: Path
) -> None:
    sides = Sides(common_market, tmp_path)
    sides.fill_wallet()
    with sides.device(*trace.driver(SPEED)) as device:
        listed = device.of("device_ready")[0]["device"]
        with sides.renter(listed) as renter:
            reaches(device, 60)
            device.kill()
            with running(*sides.device_arguments(*trace.driver(SPEED)), log=tmp_path / "device.log") as again:
                resumed = again.wait_for("resumed_from_log", within=START_WITHIN)
                assert int(resumed["seq"]) >= 60
                assert_as_if_nothing_had_happened(bill_of(renter), trace)


@pytest.mark.journey
@pytest.mark.timeout(600)
def test_a_killed_platform_goes_on_with_the_same_rental(
    common_market: Marketplace, trace: Trace, tmp_path: Path
) -> None:
    sides = Sides(common_market, tmp_path)
    sides.fill_wallet()
    with (
        sides.device(*trace.driver(SPEED)) as device,
        sides.renter(device.of("device_ready")[0]["device"]) as renter,
    ):
        reaches(renter, 60)
        common_market.kill()
        common_market.start()
        assert_as_if_nothing_had_happened(bill_of(renter), trace)
        device.wait_for("bill_countersigned", within=RENTAL_WITHIN)
