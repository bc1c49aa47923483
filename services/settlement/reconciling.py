"""Our books against the chain: what the confirmed logs make of each rental, and what the escrow itself keeps.

Both are as of the block up to which the logs were read, so that neither is ahead of the other. A difference
means that a log was missed, doubled or misread: no default hides it, and an operator has to look.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta

from hireling.rental.escrow_math import Slot, Status
from hireling.rental.typed_data import from_hex, to_hex
from services.chassis.database import Database
from services.chassis.logging import get_logger
from services.messages.errors import Unavailable
from services.messages.settlement import Difference, Reconciled
from services.settlement import metrics
from services.settlement.escrow.chain import Chain
from services.settlement.escrow.node import ChainUnreachable, NodeRefused, Reverted
from services.settlement.progress import all_in_of, held_of, slot_of
from services.settlement.store import Store

FINISHED_FOR = timedelta(hours=1)
NOTHING = Slot(0, 0, 0, 0, Status(0))

_log = get_logger(__name__)


@dataclass(frozen=True)
class Books:
    """One rental's side of the comparison."""

    rental_id: str
    slot: Slot
    at_stake: int
    """All that the rental may hold, in base units."""


def differ(books: Books, chain: Slot) -> int | None:
    """Return by how many base units a rental differs, None where it does not.

    Where only a flag or a time differs, no money does yet: 0, which is a difference all the same.
    """
    slot = books.slot
    if not slot.has(Status.OPEN | Status.DONE):
        # Not funded: the chain knows nothing of it.
        return None if chain == NOTHING else books.at_stake
    if slot.has(Status.DONE) and chain == NOTHING:
        return None  # a finished slot may be deleted
    if slot == chain or (slot.has(Status.DONE) and chain.has(Status.DONE) and slot.paid == chain.paid):
        return None  # of a finished rental the escrow remembers what was paid, and no more
    if chain == NOTHING or slot.has(Status.DONE) != chain.has(Status.DONE):
        return books.at_stake
    return abs(slot.paid - chain.paid) + abs(slot.tail - chain.tail)


class Reconciliation:
    """Compares page by page; a page is one look at the database and two questions to the chain."""

    def __init__(self, *, database: Database, chain: Chain, now: Callable[[], datetime]) -> None:
        self._database = database
        self._chain = chain
        self._now = now
        self._cursor: str | None = None
        self._found: list[Difference] = []

    def page(self, cursor: str | None, *, limit: int, touched_since: datetime | None = None) -> Reconciled:
        """Compare the next rentals after a page's ``next``, or the first.

        With `touched_since` only those that the escrow holds money for, or that changed since then.

        Raises Unavailable while nothing was read of the chain, or the node does not know that state.
        """
        with self._database.snapshot() as session:
            store = Store(session, now=self._now())
            seen = store.last_seen()
            rows = store.rentals_after(cursor or "", limit=limit, touched_since=touched_since)
            books = [Books(row.rental_id, slot_of(row), all_in_of(row)) for row in rows]
            held = sum(held_of(row)[0] for row in store.rentals_with_open_money())
        if seen is None:
            raise Unavailable("chain_not_read", "no block of the chain was read yet: please ask again")
        with chain_asked():
            escrowed = self._chain.escrowed(at=seen.number)
            slots = self._chain.slots([from_hex(each.rental_id) for each in books], at=seen.number)
        found = [_compared(each, slot) for each, slot in zip(books, slots, strict=True)]
        return Reconciled(
            block=seen.number,
            checked=len(books),
            differences=tuple(difference for difference in found if difference),
            held=held,
            escrowed=escrowed,
            next=books[-1].rental_id if len(books) == limit else None,
        )

    def advance(self, *, limit: int) -> None:
        """Compare one more page, and show what was found once every rental had its turn.

        Finished ones are left out after an hour, in which they were compared many times.
        """
        page = self.page(self._cursor, limit=limit, touched_since=self._now() - FINISHED_FOR)
        for difference in page.differences:
            _log.error("books_differ", block=page.block, **difference.model_dump(mode="json"))
        self._found += page.differences
        self._cursor = page.next
        if page.next is None:
            metrics.show_reconciled(
                differing=len(self._found),
                drift=sum(difference.amount for difference in self._found),
                uncovered=max(0, page.held - page.escrowed),
                token=to_hex(self._chain.deployment.token),
            )
            self._found = []


def _compared(books: Books, chain: Slot) -> Difference | None:
    amount = differ(books, chain)
    if amount is None:
        return None
    return Difference(
        rental_id=from_hex(books.rental_id), books=_said(books.slot), chain=_said(chain), amount=amount
    )


@contextmanager
def chain_asked() -> Iterator[None]:
    """Within the block, what keeps the chain from answering raises Unavailable."""
    try:
        yield
    except (ChainUnreachable, NodeRefused, Reverted) as error:
        raise Unavailable("chain_unreachable", str(error)) from error


def _said(slot: Slot) -> str:
    flags = ", ".join(flag.name.lower() for flag in Status if slot.has(flag) and flag.name) or "nothing"
    return (
        f"{flags}: paid {slot.paid}, tail {slot.tail}, funded {slot.funded_bps} bps, "
        f"claims until {slot.claim_by}"
    )
