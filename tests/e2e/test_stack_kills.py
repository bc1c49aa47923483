"""On the stack each service and each server is killed (-9) in the middle of a rental, and started again."""

import json
import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest

from hireling.rental.bill import SignedBill
from services.embedded.accounts import Accounts
from services.embedded.books import Outcome, leaks
from services.embedded.children import inherited
from services.embedded.stack_market import StackMarketplace
from tests import stack
from tests.e2e.journey import (
    RENTAL_WITHIN,
    Sides,
    Trace,
    a_trace,
    assert_as_if_nothing_had_happened,
    bill_of,
    reaches,
)

SPEED = 20  # some 12 s of rental: what is killed is needed before its end
READINGS_APART = 60
PAGE = 200

pytestmark = [pytest.mark.stack, pytest.mark.journey, pytest.mark.timeout(600)]


@pytest.fixture
def trace(tmp_path: Path) -> Trace:
    """Return a trace that takes some 12 s to replay."""
    return a_trace(tmp_path / "motor.csv", rows=240)


def service(*names: str) -> Callable[[StackMarketplace], None]:
    """Return the death of these processes at once; the watch starts them again, as any supervisor does."""
    return lambda market: market.kill_children(*names)


def server(name: str) -> Callable[[StackMarketplace], None]:
    """Return the death of a server, and its start on the data it left."""

    def kill_and_start(_: StackMarketplace) -> None:
        stack.kill(name)
        stack.start(name)

    return kill_and_start


@pytest.mark.parametrize(
    "power_cuts",
    [
        pytest.param(
            [service("ingest", "ingest-2"), service("metering"), service("settlement")],
            id="ingest, metering, settlement",
        ),
        pytest.param([server("rabbitmq")], id="rabbitmq"),
        pytest.param([server("mosquitto"), server("postgres")], id="mosquitto, postgres"),
    ],
)
def test_the_bill_is_what_it_would_have_been(
    stack_market: StackMarketplace,
    trace: Trace,
    tmp_path: Path,
    power_cuts: Sequence[Callable[[StackMarketplace], None]],
) -> None:
    sides = Sides(stack_market, tmp_path)
    renter_address = sides.fill_wallet()["address"]
    accounts = Accounts(stack_market.settings.gateway_url)
    with sides.device(*trace.driver(SPEED)) as device:
        ready = device.of("device_ready")[0]
        addresses = {
            "renter": renter_address,
            "owner": ready["owner"],
            "platform": accounts.platform["fee_to"],
            "escrow": accounts.platform["escrow"],
        }
        before = accounts.read(addresses)
        with sides.renter(ready["device"]) as renter:
            for number, power_cut in enumerate(power_cuts, start=1):
                reaches(renter, number * READINGS_APART)
                power_cut(stack_market)
            signed = bill_of(renter)
        device.wait_for("bill_countersigned", within=RENTAL_WITHIN)
    bill = signed.bill

    assert_as_if_nothing_had_happened(signed, trace)
    assert readings_kept(sides, signed) == [reading.model_dump(mode="json") for reading in bill.readings]
    assert leaks(before, accounts.read(addresses), [Outcome("owner", bill.total, bill.fee)]) == []
    assert operate(stack_market, "health")["well"]
    assert operate(stack_market, "reconcile")["found"] == []
    assert sum(queue["parked"] for queue in operate(stack_market, "queues")["found"]) == 0


def operate(market: StackMarketplace, verb: str) -> Any:
    """Return what the operator's tool finds."""
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-m", "services.operator", "--json", verb],
        env=inherited(market.settings.environment()),
        stdout=subprocess.PIPE,
        timeout=120,
        check=True,
    )
    return json.loads(done.stdout.splitlines()[-1])


def readings_kept(sides: Sides, signed: SignedBill) -> list[dict[str, object]]:
    """Return every reading that metering has of the bill's rental."""
    path = f"/v1/rentals/0x{signed.bill.rental.rental_id.hex()}/readings"
    kept: list[dict[str, object]] = []
    while True:
        page = sides.get(f"{path}?limit={PAGE}&after={len(kept) - 1}" if kept else f"{path}?limit={PAGE}")
        kept += page["items"]
        if len(page["items"]) < PAGE:
            return kept
