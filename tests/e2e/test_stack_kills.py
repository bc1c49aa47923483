"""On the stack each service and each server is killed (-9) in the middle of a rental, and started again."""

import json
import signal
import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest

from hireling.durable import make_private_folder
from hireling.rental.bill import SignedBill
from hireling.rental.tariff import price
from services.chassis.leaving import EXIT_UNDRAINED
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
    readings_kept,
    rented,
)

SPEED = 20  # some 12 s of rental: what is killed is needed before its end
READINGS_APART = 60

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
        addresses = accounts.around(renter=renter_address, owners={"owner": ready["owner"]})
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


def test_every_process_ends_by_itself_where_the_servers_are_gone(
    stack_market: StackMarketplace, trace: Trace, tmp_path: Path
) -> None:
    sides = Sides(stack_market, tmp_path)
    sides.fill_wallet()
    servers = ("rabbitmq", "postgres")
    with sides.device(*trace.driver(SPEED)) as device:
        with sides.renter(device.of("device_ready")[0]["device"]) as renter:
            reaches(renter, READINGS_APART)
            for name in servers:
                stack.kill(name)
            told = {child.name: len(child.log.read_text()) for child in stack_market.children}
            # Who outlives its time is killed, and would show it.
            stack_market.rest()
            codes = {
                child.name: child.process.returncode for child in stack_market.children[1:] if child.process
            }
            for name in servers:
                stack.start(name)
            stack_market.resume()
            signed = bill_of(renter)
        device.wait_for("bill_countersigned", within=RENTAL_WITHIN)

    assert {name: code for name, code in codes.items() if code not in {0, EXIT_UNDRAINED}} == {}
    codes.pop("gateway")  # its workers tell what they broke off, and their master ends well
    for name, code in codes.items():
        log = stack_market.child(name).log.read_text()[told[name] :]
        assert ("drain_broken_off" in log) == (code == EXIT_UNDRAINED), name
    assert_as_if_nothing_had_happened(signed, trace)


@pytest.mark.timeout(1200)
def test_what_was_backed_up_survives_the_loss_of_every_server(
    stack_market: StackMarketplace, tmp_path: Path
) -> None:
    """A rental ends before the backup, one runs through it and through the loss of all that came after it."""
    # It runs for longer than a backup takes: the renter ends it.
    machine = a_trace(tmp_path / "motor.csv", rows=2_400)
    before_it = rented(stack_market, make_private_folder(tmp_path / "before"))
    sides = Sides(stack_market, make_private_folder(tmp_path / "through"))
    renter_address = sides.fill_wallet()["address"]
    accounts = Accounts(stack_market.settings.gateway_url)
    with sides.device(*machine.driver(SPEED)) as device:
        ready = device.of("device_ready")[0]
        addresses = accounts.around(renter=renter_address, owners={"owner": ready["owner"]})
        before = accounts.read(addresses)
        with sides.renter(ready["device"]) as renter:
            reaches(renter, 1)
            apart(stack_market, "backup", str(tmp_path / "away"))
            backed_up = int(renter.of("reading")[-1]["seq"])
            reaches(renter, backed_up + READINGS_APART)

            stack_market.rest()
            for lost in ("postgres", "rabbitmq", "mosquitto"):
                stack.destroy(lost)
            restored = apart(stack_market, "restore", str(tmp_path / "away"))
            for lost in ("postgres", "rabbitmq", "mosquitto"):
                stack.start(lost)
            stack.make_bus_again(stack_market.settings.environment()["HIRELING_AMQP_URI"])
            stack_market.resume()
            device.wait_for("sending_lost_again", within=RENTAL_WITHIN)
            renter.process.send_signal(signal.SIGINT)

            signed = bill_of(renter)
        device.wait_for("bill_countersigned", within=RENTAL_WITHIN)
    bill = signed.bill

    assert sum(row["events sent again"] for row in restored["found"]) > 0
    numbers = [reading.reading.seq for reading in bill.readings]
    assert numbers == list(range(len(numbers)))
    assert backed_up + READINGS_APART < len(numbers)
    assert bill.readings[-1].reading.last
    assert bill.total == price(bill.rental.offer.tariff, bill.counters)
    assert readings_kept(sides, signed) == [reading.model_dump(mode="json") for reading in bill.readings]
    assert leaks(before, accounts.read(addresses), [Outcome("owner", bill.total, bill.fee)]) == []
    assert operate(stack_market, "reconcile")["found"] == []
    assert sum(queue["parked"] for queue in operate(stack_market, "queues")["found"]) == 0
    old = f"/v1/rentals/0x{before_it.bill.rental.rental_id.hex()}/bill"
    assert SignedBill.model_validate(sides.get(old), strict=False).bill == before_it.bill


def apart(market: StackMarketplace, verb: str, *arguments: str) -> Any:
    """Return what a verb of the operator's says that needs no running service."""
    places = {
        "OPERATOR_POSTGRES_URL": stack.postgres_url(),
        "OPERATOR_POSTGRES_DATA": str(stack.postgres_data()),
    }
    done = subprocess.run(
        [sys.executable, "-m", "services.operator", "--json", verb, *arguments],
        env=inherited({**market.settings.environment(), **places}),
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout.splitlines()[-1])


def operate(market: StackMarketplace, verb: str) -> Any:
    """Return what the operator's tool finds."""
    done = subprocess.run(
        [sys.executable, "-m", "services.operator", "--json", verb],
        env=inherited(market.settings.environment()),
        stdout=subprocess.PIPE,
        timeout=120,
        check=True,
    )
    return json.loads(done.stdout.splitlines()[-1])
