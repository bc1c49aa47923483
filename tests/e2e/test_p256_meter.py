"""A meter whose key could live in a secure element: a P-256 rental on the real chain, to its bill."""

from pathlib import Path

import pytest

from hireling.rental.bill import verify_bill
from services.embedded.marketplace import Marketplace
from tests.e2e.journey import RENTAL_WITHIN, Sides, a_trace, assert_as_if_nothing_had_happened, bill_of

SPEED = 20
IDENTITY_BYTES = 64  # both coordinates of the public key


@pytest.mark.journey
def test_a_p256_meter_is_claimed_with_and_closed(common_market: Marketplace, tmp_path: Path) -> None:
    sides = Sides(common_market, tmp_path)
    trace = a_trace(tmp_path / "motor.csv", rows=240)
    sides.fill_wallet()
    with sides.device(*trace.driver(SPEED), "--meter-key", "P-256") as device:
        ready = device.of("device_ready")[0]
        assert len(bytes.fromhex(ready["meter"][2:])) == IDENTITY_BYTES
        with sides.renter(ready["device"]) as renter:
            signed = bill_of(renter)
        device.wait_for("bill_countersigned", within=RENTAL_WITHIN)

    assert_as_if_nothing_had_happened(signed, trace)
    issuer = bytes.fromhex(sides.get("/v1/platform")["bill_signer"][2:])
    assert verify_bill(signed, issuer=issuer).total == signed.bill.total
    assert signed.bill.rental.agreement.pay.meter == bytes.fromhex(ready["meter"][2:])
    assert {"open", "claim", "close"} <= {sent.kind for sent in signed.bill.transactions}
