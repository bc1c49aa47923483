"""A rental's money, derived from the escrow's confirmed logs and from nothing else. Pure."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any

from hireling.rental.escrow_math import Slot, Status
from hireling.rental.money import fee_of
from hireling.rental.terms import Agreement

# The logs after which the escrow holds nothing of a rental any more.
PAID_OUT = frozenset({"Closed", "Settled", "Ruled"})


@dataclass(frozen=True)
class Books:
    """The slot as the logs make it, and what left the escrow so far, in base units.

    ``prepaid`` came in, beside the deposit. ``fee`` is the one on all that is paid: it waits in the escrow
    until the rental ends, and is credited then.
    """

    slot: Slot
    fee_bps: int
    prepaid: int = 0
    fee: int = 0
    to_owner: int = 0
    refund: int = 0

    @property
    def fee_credited(self) -> int:
        """Return what of the fee has left the rental: nothing before the end, then all of it."""
        return self.fee if self.money == "done" else 0

    @property
    def money(self) -> str:
        """Return where the money is: "none" (never came), "open" (inside), "done" (paid out)."""
        if self.slot.has(Status.DONE):
            return "done"
        return "open" if self.slot.has(Status.OPEN) else "none"


@dataclass(frozen=True)
class Entry:
    """A log's name and arguments."""

    name: str
    arguments: Mapping[str, Any]

    def amount(self, name: str) -> int:
        """Return an argument as a whole number."""
        return int(self.arguments[name])


def books_of(agreement: Agreement, entries: Iterable[Entry]) -> Books:
    """Return the books after these logs, which come in the chain's order."""
    books = Books(Slot(0, 0, agreement.claim_by, 0, Status(0)), fee_bps=agreement.pay.fee_bps)
    for entry in entries:
        write = _WRITERS.get(entry.name)
        if write is not None:
            books = write(books, entry)
    return books


def money_by(names: Iterable[str]) -> str:
    """Return what `Books.money` says after logs of these names, whatever the terms."""
    found = frozenset(names)
    if found & PAID_OUT:
        return "done"
    return "open" if "Opened" in found else "none"


def deposit_returned(books: Books, *, deposit: int) -> int:
    """Return how much of the deposit went back to the renter: what it got beyond the unused prepayment."""
    unused = books.prepaid - books.slot.paid
    return min(max(books.refund - unused, 0), deposit)


def _opened(books: Books, entry: Entry) -> Books:
    slot = replace(books.slot, status=Status.OPEN, funded_bps=entry.amount("fundedBps"))
    return replace(books, slot=slot, prepaid=entry.amount("prepaid"))


def _topped_up(books: Books, entry: Entry) -> Books:
    slot = replace(books.slot, funded_bps=entry.amount("fundedBps"))
    return replace(books, slot=slot, prepaid=entry.amount("prepaid"))


def _claimed(books: Books, entry: Entry) -> Books:
    slot = replace(books.slot, paid=entry.amount("paid"), tail=entry.amount("tail"))
    fee = fee_of(slot.paid, books.fee_bps)
    added = slot.paid - books.slot.paid - (fee - books.fee)
    return replace(books, slot=slot, fee=fee, to_owner=books.to_owner + added)


def _exited(books: Books, entry: Entry) -> Books:
    return replace(books, slot=replace(books.slot, claim_by=entry.amount("claimBy")))


def _voided(books: Books, entry: Entry) -> Books:
    kept = books.slot.tail if books.slot.has(Status.SPLIT) else 0
    return replace(books, slot=replace(books.slot, tail=kept, status=books.slot.status | Status.VOID))


def _split(books: Books, entry: Entry) -> Books:
    slot = replace(books.slot, status=books.slot.status | Status.SPLIT)
    return replace(books, slot=slot, refund=books.refund + entry.amount("refund"))


def _flagged(flag: Status) -> Callable[[Books, Entry], Books]:
    def write(books: Books, entry: Entry) -> Books:
        return replace(books, slot=replace(books.slot, status=books.slot.status | flag))

    return write


def _closed(books: Books, entry: Entry) -> Books:
    return _paid_out(books, entry, paid=entry.amount("use"))


def _settled(books: Books, entry: Entry) -> Books:
    return _paid_out(books, entry, paid=entry.amount("paid"))


def _ruled(books: Books, entry: Entry) -> Books:
    return _paid_out(books, entry, paid=books.slot.paid + entry.amount("tailToOwner"))


def _paid_out(books: Books, entry: Entry, *, paid: int) -> Books:
    return replace(
        books,
        slot=replace(books.slot, paid=paid, tail=0, status=Status.DONE),
        fee=entry.amount("fee"),
        to_owner=books.to_owner + entry.amount("toOwner"),
        refund=books.refund + entry.amount("toRenter"),
    )


_WRITERS: Mapping[str, Callable[[Books, Entry], Books]] = {
    "Opened": _opened,
    "ToppedUp": _topped_up,
    "Claimed": _claimed,
    "Exited": _exited,
    "DamageClaimed": _flagged(Status.DAMAGE),
    "Disputed": _flagged(Status.DISPUTE),
    "TailVoided": _voided,
    "Split": _split,
    "Closed": _closed,
    "Settled": _settled,
    "Ruled": _ruled,
}
