"""The demo's closing tables."""

from collections.abc import Callable, Iterable

from rich.table import Table

from hireling.rental.bill import Bill
from services.embedded.books import Books
from services.embedded.narration import short

Money = Callable[[int], str]


def accounts_table(before: Books, after: Books, money: Money) -> Table:
    """Return every account before and after.

    What the escrow owes an account on demand counts as the account's, not the escrow's.
    """
    table = Table(title="accounts", title_justify="left")
    table.add_column("account")
    for column in ("before", "after", "change"):
        table.add_column(column, justify="right")
    owed_before = sum(account.credit for account in before.values())
    owed_after = sum(account.credit for account in after.values())
    for name in before:
        was, now = before[name].wealth, after[name].wealth
        if name == "escrow":
            was, now = was - owed_before, now - owed_after
        table.add_row(name, money(was), money(now), f"{'+' if now > was else ''}{money(now - was)}")
    return table


def rentals_table(bills: Iterable[tuple[str, Bill]], money: Money) -> Table:
    """Return what each rental used, cost and returned, and its transactions."""
    table = Table(title="rentals", title_justify="left", show_lines=True)
    for column in ("machine", "used", "price", "fee in it", "returned", "transactions (gas)"):
        table.add_column(column)
    for title, bill in bills:
        specs = bill.rental.offer.tariff.counters
        used = "\n".join(f"{count:,} {spec.name}" for spec, count in zip(specs, bill.counters, strict=True))
        sent = "\n".join(
            f"{item.kind} {short('0x' + item.hash.hex())} ({item.gas_used:,})" for item in bill.transactions
        )
        returned = f"{money(bill.refund)}\n+ deposit {money(bill.deposit_returned)}"
        table.add_row(title, used, money(bill.total), money(bill.fee), returned, sent)
    return table
