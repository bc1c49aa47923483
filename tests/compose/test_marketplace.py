"""`docker compose up` gives a marketplace with two machines for hire, and rentals come to their bills."""

from pathlib import Path

import pytest

from tests.compose.containers import Containers
from tests.compose.rentals import all_exact, assert_all_is_well, rent
from tests.e2e.journey import Sides, bill_of
from tests.e2e.programs import run_to_end

pytestmark = [pytest.mark.compose, pytest.mark.timeout(1200)]

OFFERED = {"This computer", "A recorded machine"}


def offered(containers: Containers, folder: Path) -> dict[str, str]:
    """Return the machines that are online, by their titles."""
    gateway = containers.gateway().gateway_url
    code, events = run_to_end("devices", "--gateway", gateway, log=folder / "devices.log", within=60)
    assert code == 0
    return {event["title"]: event["device"] for event in events}


def test_two_machines_are_for_hire_and_earn(containers: Containers, tmp_path: Path) -> None:
    machines = offered(containers, tmp_path)
    assert machines.keys() >= OFFERED
    sides = Sides(containers.gateway(), tmp_path)
    address = sides.fill_wallet()["address"]
    granted = sides.wealth(address)
    with sides.renter(machines["A recorded machine"]) as renter:
        bill = bill_of(renter).bill
    assert [reading.reading.seq for reading in bill.readings] == list(range(len(bill.readings)))
    assert bill.total > 0
    assert sides.wealth(address) == granted - bill.total


def test_a_rental_is_billed_and_paid_to_the_unit(containers: Containers, tmp_path: Path) -> None:
    with all_exact(containers.gateway(), tmp_path) as rentals:
        rentals.append(rent(containers.gateway(), tmp_path / "rental"))
    assert_all_is_well(containers)
