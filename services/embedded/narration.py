"""What the demo says of each event of the renter's agent, in a line a stranger understands."""

from collections.abc import Callable, Mapping
from typing import Any

Event = Mapping[str, Any]
Money = Callable[[int], str]

AMOUNTS = ("max_total", "deposit", "amount_due", "paid", "fee", "refund")
IDENTIFIERS = ("rental_id", "tx")
LINES = {
    "found": "found {title!r}",
    "quote": "asked and was offered: at most {max_total}, deposit {deposit}",
    "counter_offer": "counters with at most {max_total}: {reason}",
    "accepted": "takes at most {max_total}: {reason}",
    "agreed": "both sides signed: rental {rental_id}",
    "funded": "escrow funded by permit, relayed by the platform: {tx}",
    "unlocked": "the machine checked the chain itself, and unlocked by challenge and answer",
    "reading": "reading {seq}: {counters}; due {amount_due}",
    "ended": "the machine stopped; due {amount_due}",
    "settled": "closed with two keys: paid {paid} (fee {fee}), returned {refund}",
}


def short(identifier: str) -> str:
    """Return the start of a long hex identifier."""
    return identifier if len(identifier) <= 12 else f"{identifier[:10]}…"


def line_of(event: Event, money: Money) -> str | None:
    """Return the line for this event, or None where it needs none."""
    template = LINES.get(event["event"])
    if template is None:
        return None
    words = dict(event)
    words.update({name: money(int(event[name])) for name in AMOUNTS if name in event})
    words.update({name: short(event[name]) for name in IDENTIFIERS if name in event})
    counters = event.get("counters", {})
    words["counters"] = ", ".join(f"{int(value):,} {name}" for name, value in counters.items())
    return template.format_map(words)
