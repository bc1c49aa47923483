"""What was agreed after the last backup: the marketplace forgets it, its two sides do not."""

from datetime import UTC, datetime
from pathlib import Path

import pytest

from services.embedded.accounts import Accounts
from services.embedded.books import Outcome, leaks
from services.embedded.marketplace import Marketplace
from services.operator.backup import backup
from services.operator.order import Order, Places
from services.operator.restore import restore
from services.operator.settings import BackupSettings
from tests.e2e.journey import (
    RENTAL_WITHIN,
    Sides,
    a_trace,
    assert_as_if_nothing_had_happened,
    bill_of,
    reaches,
    readings_kept,
)

SPEED = 20  # some 6 s of rental


def silent(_: str) -> None:
    """Say nothing."""


def order() -> Order:
    return Order(settings=BackupSettings(), places=Places.of_settings(), now=datetime.now(UTC), say=silent)


@pytest.mark.journey
@pytest.mark.timeout(600)
def test_a_rental_agreed_after_the_backup_is_billed_as_if_nothing_had_happened(
    market: Marketplace, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in market.settings.environment().items():
        monkeypatch.setenv(name, value)
    away = tmp_path / "away"
    trace = a_trace(tmp_path / "motor.csv", rows=120)
    sides = Sides(market, tmp_path)
    renter_address = sides.fill_wallet()["address"]
    accounts = Accounts(market.settings.gateway_url)
    # Before the machine came, too.
    backup(away, order())
    with sides.device(*trace.driver(SPEED)) as device:
        ready = device.of("device_ready")[0]
        addresses = accounts.around(renter=renter_address, owners={"owner": ready["owner"]})
        before = accounts.read(addresses)
        with sides.renter(ready["device"]) as renter:
            reaches(renter, 40)
            market.kill()
            restore(away, order(), force=True)
            market.start()
            device.wait_for("agreement_handed_in", within=RENTAL_WITHIN)
            signed = bill_of(renter)
        device.wait_for("bill_countersigned", within=RENTAL_WITHIN)
    bill = signed.bill

    assert_as_if_nothing_had_happened(signed, trace)
    assert readings_kept(sides, signed) == [reading.model_dump(mode="json") for reading in bill.readings]
    assert leaks(before, accounts.read(addresses), [Outcome("owner", bill.total, bill.fee)]) == []
