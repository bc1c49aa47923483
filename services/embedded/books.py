"""The demo's books: every account before and after, and whether money was conserved to the base unit."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class Account:
    """What an address has: tokens it holds, and tokens the escrow owes it on demand, in base units."""

    balance: int
    credit: int

    @property
    def wealth(self) -> int:
        """Return all that belongs to the address."""
        return self.balance + self.credit


@dataclass(frozen=True)
class Outcome:
    """What a bill says was paid, in base units: gross, and the platform's fee inside it."""

    owner: str
    paid: int
    fee: int


Books = Mapping[str, Account]  # by name; "renter", "platform" (its fees) and "escrow" among them


def leaks(before: Books, after: Books, outcomes: Sequence[Outcome]) -> list[str]:
    """Return what does not add up, in words; an empty list means that money was conserved.

    Tokens are neither made nor lost among the accounts; each account changed by exactly what the bills say;
    and the escrow holds nothing more than what it owes on demand.
    """
    found = []
    if sum(account.balance for account in before.values()) != sum(
        account.balance for account in after.values()
    ):
        found.append("the accounts' tokens do not sum to what they were")
    expected = dict.fromkeys(before, 0)
    for outcome in outcomes:
        expected[outcome.owner] += outcome.paid - outcome.fee
        expected["platform"] += outcome.fee
        expected["renter"] -= outcome.paid
    for name, change in expected.items():
        actual = after[name].wealth - before[name].wealth
        if name != "escrow" and actual != change:
            found.append(f"{name} changed by {actual}, the bills say {change}")
    owed = sum(after[name].credit - before[name].credit for name in after if name != "escrow")
    held = after["escrow"].balance - before["escrow"].balance
    if held != owed:
        found.append(f"the escrow holds {held} more than before and owes {owed} more")
    return found
