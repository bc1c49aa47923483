"""Rentals against the stack in containers, by the agents' own commands, and what must hold of them after."""

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from hireling.rental.bill import SignedBill
from services.embedded.accounts import Accounts
from tests.compose.containers import Containers, GatewayAt
from tests.e2e.journey import (
    RENTAL_WITHIN,
    Sides,
    Trace,
    a_trace,
    assert_as_if_nothing_had_happened,
    bill_of,
    reaches,
    readings_kept,
)

ROWS, SPEED = 120, 20
HALF_WAY = ROWS // 2


@dataclass(frozen=True)
class Rental:
    """One that came to its bill, and whose money it moved."""

    signed: SignedBill
    trace: Trace
    renter: str
    granted: int
    """What the renter had before, in base units; the owner had nothing."""
    owner: str


def nothing() -> None:
    """Let a rental be."""


def rent(gateway: GatewayAt, folder: Path, *, half_way: Callable[[], None] = nothing) -> Rental:
    """Rent a machine of our own until its bill; `half_way` happens in the middle of it."""
    sides = Sides(gateway, folder)
    folder.mkdir()
    trace = a_trace(folder / "motor.csv", rows=ROWS)
    address = sides.fill_wallet()["address"]
    granted = sides.wealth(address)
    with sides.device(*trace.driver(SPEED)) as device:
        ready = device.of("device_ready")[0]
        with sides.renter(ready["device"]) as renter:
            reaches(renter, HALF_WAY)
            half_way()
            signed = bill_of(renter)
        device.wait_for("bill_countersigned", within=RENTAL_WITHIN)
    return Rental(signed, trace, renter=address, granted=granted, owner=ready["owner"])


def rent_at_once(gateways: Sequence[GatewayAt], folder: Path) -> list[Rental]:
    """Rent a machine through each of these gateways, all at the same time."""
    with ThreadPoolExecutor(len(gateways)) as threads:
        folders = [folder / f"rental-{number}" for number in range(len(gateways))]
        return list(threads.map(rent, gateways, folders))


@contextmanager
def all_exact(gateway: GatewayAt, folder: Path) -> Iterator[list[Rental]]:
    """Hold the rentals that the block adds to what the marketplace has kept, and all money to their bills."""
    accounts = Accounts(gateway.gateway_url)
    platform = {"platform": accounts.platform["fee_to"]}
    fees_before = accounts.read(platform)["platform"].wealth
    rentals: list[Rental] = []
    yield rentals
    assert rentals
    for rental in rentals:
        assert_exact(rental, Sides(gateway, folder))
    fees = sum(rental.signed.bill.fee for rental in rentals)
    assert accounts.read(platform)["platform"].wealth - fees_before == fees


def assert_exact(rental: Rental, sides: Sides) -> None:
    """The bill has every reading once, metering holds just these, and money moved by what it says."""
    bill = rental.signed.bill
    assert_as_if_nothing_had_happened(rental.signed, rental.trace)
    assert readings_kept(sides, rental.signed) == [
        reading.model_dump(mode="json") for reading in bill.readings
    ]
    assert sides.wealth(rental.owner) == bill.total - bill.fee
    assert sides.wealth(rental.renter) == rental.granted - bill.total


def assert_all_is_well(containers: Containers) -> None:
    """Every service answers, our books are the chain's, and no event was given up."""
    assert containers.operate("health")["well"]
    assert containers.operate("reconcile")["found"] == []
    assert sum(queue["parked"] for queue in containers.operate("queues")["found"]) == 0
