"""When our books and the escrow differ, and by how much."""

from dataclasses import replace

import pytest

from hireling.rental.escrow_math import Slot, Status
from services.settlement.reconciling import NOTHING, Books, differ

OPEN = Slot(paid=300, tail=40, claim_by=1_800_000_000, funded_bps=10_000, status=Status.OPEN)
DONE = Slot(paid=340, tail=0, claim_by=1_800_000_000, funded_bps=10_000, status=Status.DONE)
UNFUNDED = Slot(paid=0, tail=0, claim_by=1_800_000_000, funded_bps=0, status=Status(0))


@pytest.mark.parametrize(
    ("books", "chain", "amount"),
    [
        (OPEN, OPEN, None),
        (DONE, Slot(340, 0, 0, 0, Status.DONE), None),
        (DONE, Slot(350, 0, 0, 0, Status.DONE), 10),
        (UNFUNDED, NOTHING, None),
        (DONE, NOTHING, None),
        (OPEN, replace(OPEN, paid=310, tail=30), 20),
        (OPEN, replace(OPEN, status=Status.OPEN | Status.DISPUTE), 0),
        (OPEN, replace(OPEN, claim_by=1), 0),
        (OPEN, NOTHING, 1_000),
        (OPEN, DONE, 1_000),
        (DONE, OPEN, 1_000),
        (UNFUNDED, replace(OPEN, paid=0, tail=0), 1_000),
    ],
)
def test_differ_by_what_may_be_wrong(books: Slot, chain: Slot, amount: int | None) -> None:
    assert differ(Books(rental_id="0x01", slot=books, at_stake=1_000), chain) == amount
