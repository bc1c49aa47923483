"""Machines are rented all the time while one thing after the other goes wrong; then the books are checked.

A few of each kind, judged together; `make faults` runs all of them, each for its full time (docs/faults.md).
"""

from collections.abc import Iterator
from dataclasses import replace

import pytest

from tests.e2e.faults.books import Books
from tests.e2e.faults.faults import PROCESSES, Fault, every_fault, strike_groups
from tests.e2e.faults.scene import AGENTS, SERVERS, opened

pytestmark = [pytest.mark.stack, pytest.mark.journey]

FAULTS = {fault.name: fault for fault in every_fault()}
SHORT_SECONDS = 3.0
# One is longer than anybody's patience with a call; who begins by another clock needs a while until it works.
LONGER_SECONDS = {"pause negotiation": 13.0, "clock +300 settlement": 10.0}
# The marketplace recovers between two groups; within one, a fault meets what the last one left.
GROUPS = (
    ("kill settlement", "kill mosquitto", "pause moves"),
    ("pause negotiation", "silence metering", "reset rabbitmq"),
    ("stop gateway", "stop listing", "kill keeper"),
    ("no answers postgres", "clock -300 ingest"),
    ("disk full postgres", "disk full rabbitmq", "disk full mosquitto"),
    ("kill agents", "clock +300 agents", "pause chain", "kill chain", "kill postgres"),
    ("reorg a block", "reorg believed blocks"),
    ("start first rabbitmq", "clock +300 settlement"),
)
CHOSEN = tuple(FAULTS[name] for group in GROUPS for name in group)


def as_long_as_here(fault: Fault) -> Fault:
    """Return a fault that takes no longer than this test has for it."""
    return replace(fault, seconds=min(LONGER_SECONDS.get(fault.name, SHORT_SECONDS), fault.seconds))


@pytest.fixture
def books(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Books]:
    """Return the open books of a marketplace with a crowd that rents."""
    with opened(tmp_path_factory.mktemp("faults")) as scene:
        books = Books(scene)
        books.open()
        yield books


@pytest.mark.timeout(1800)
def test_money_is_conserved_and_nothing_is_lost_or_stuck(books: Books) -> None:
    strike_groups(books.scene, [[as_long_as_here(FAULTS[name]) for name in group] for group in GROUPS])
    finding = books.judge()
    assert finding.rentals > 0
    assert finding.is_clean, finding
    # Last, because the chain's clock leaps: what nobody ever paid for is over too.
    assert books.judge_the_unfunded() == []


def test_each_kind_of_fault_and_each_part_has_its_turn() -> None:
    assert {fault.kind for fault in CHOSEN} >= {fault.kind for fault in FAULTS.values()}
    assert {fault.of for fault in CHOSEN} >= {*PROCESSES, *SERVERS, AGENTS}
