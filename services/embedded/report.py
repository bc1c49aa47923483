"""The demo's closing tables."""

from collections.abc import Callable, Iterable

from rich.table import Table

from hireling.rental.bill import Bill
from services.embedded.books import Books

Money = Callable[[int], str]
Bills = Iterable[tuple[str, Bill]]


def rentals_table(bills: Bills, money: Money) -> Table:
    """Return what each rental used, cost and gave back."""
    table = Table(title="rentals", title_justify="left")
    table.add_column("machine")
    for column in ("readings", "used", "price", "fee in it", "unused, returned", "deposit returned"):
        table.add_column(column, justify="right")
    for title, bill in bills:
        specs = bill.rental.offer.tariff.counters
        used = "\n".join(f"{count:,} {spec.name}" for spec, count in zip(specs, bill.counters, strict=True))
        amounts = (bill.total, bill.fee, bill.refund, bill.deposit_returned)
        table.add_row(title, str(len(bill.readings)), used, *(money(amount) for amount in amounts))
    return table


def transactions_table(bills: Bills) -> Table:
    """Return what the chain did for each rental, and what it cost the relayer."""
    table = Table(title="transactions", title_justify="left")
    table.add_column("machine")
    table.add_column("call")
    table.add_column("hash", no_wrap=True)
    table.add_column("block", justify="right")
    table.add_column("gas", justify="right")
    for title, bill in bills:
        for sent in bill.transactions:
            table.add_row(title, sent.kind, f"0x{sent.hash.hex()}", f"{sent.block}", f"{sent.gas_used:,}")
    return table


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
