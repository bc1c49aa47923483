"""What each of the escrow's calls does to a slot: the life of a few rentals, call by call."""

from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

from hireling.rental.escrow_math import (
    Move,
    Slot,
    claim,
    claim_damage,
    close,
    dispute,
    exit_early,
    held,
    open_slot,
    owed,
    rule,
    settle,
    top_up,
    void_tail,
)
from hireling.rental.terms import Agreement
from tests.builders import NOW, an_agreement

START = int(NOW.timestamp())
HOUR, DAY = 3_600, 86_400
Call = tuple[str, dict[str, int]]

LIVES: dict[str, tuple[Call, ...]] = {
    "claimed and settled by the deadlines": (
        ("open", {"funded_bps": 5_000, "now": START}),
        ("top_up", {"funded_bps": 10_000, "now": START + 60}),
        ("claim", {"amount_due": 9_000, "max_claimable": 20_000, "ack_amount": 5_000, "now": START + 120}),
        ("claim", {"amount_due": 30_000, "max_claimable": 30_000, "ack_amount": 30_000, "now": START + 600}),
        ("claim", {"amount_due": 60_000, "max_claimable": 50_000, "ack_amount": 40_001, "now": START + 900}),
        ("settle", {"now": START + 3 * HOUR}),
    ),
    "closed by both": (
        ("open", {"funded_bps": 10_000, "now": START}),
        ("claim", {"amount_due": 777, "max_claimable": 777, "ack_amount": 777, "now": START + 100}),
        ("close", {"use": 7_777, "damage": 1_234}),
    ),
    "disputed, damaged, and ruled on": (
        ("open", {"funded_bps": 10_000, "now": START}),
        ("claim", {"amount_due": 12_000, "max_claimable": 15_000, "ack_amount": 4_000, "now": START + 600}),
        ("exit_early", {"now": START + 700}),
        ("claim_damage", {"amount": 3_000, "now": START + 800}),
        ("dispute", {"now": START + 700 + 120 + HOUR + 1}),
        ("settle", {"now": START + 2 * HOUR}),
        ("rule", {"use": 8_000, "damage": 2_000, "now": START + 5 * DAY}),
    ),
    "void, and back to the renter": (
        ("open", {"funded_bps": 10_000, "now": START}),
        ("claim", {"amount_due": 12_000, "max_claimable": 15_000, "ack_amount": 4_000, "now": START + 600}),
        ("void_tail", {}),
        ("settle", {"now": START + 3 * HOUR}),
    ),
}


def vectors() -> dict[str, Any]:
    """Return the lives: after each call the slot, what was paid out, what was taken in, and what is held."""
    agreement = an_agreement()
    return {
        "agreement": agreement.model_dump(mode="json"),
        "lives": [{"name": name, "steps": list(_steps(agreement, calls))} for name, calls in LIVES.items()],
    }


def move(agreement: Agreement, slot: Slot | None, call: Call) -> Move:
    """Return what the call does."""
    name, arguments = call
    if slot is None:
        return open_slot(agreement, **arguments)
    moves: dict[str, Callable[..., Move]] = {
        "top_up": partial(top_up, agreement, slot),
        "claim": partial(claim, agreement, slot),
        "exit_early": partial(exit_early, agreement, slot),
        "claim_damage": partial(claim_damage, agreement, slot),
        "void_tail": partial(void_tail, slot),
        "dispute": partial(dispute, agreement, slot),
        "close": partial(close, agreement, slot),
        "settle": partial(settle, agreement, slot),
        "rule": partial(rule, agreement, slot),
    }
    return moves[name](**arguments)


def _steps(agreement: Agreement, calls: tuple[Call, ...]) -> Iterator[dict[str, Any]]:
    slot: Slot | None = None
    for name, arguments in calls:
        done = move(agreement, slot, (name, arguments))
        step: dict[str, Any] = {"call": name, "arguments": _texts(arguments)}
        if name == "claim" and slot is not None:
            step["owed"] = str(owed(agreement, slot, **arguments))
        slot = done.slot
        payout = {"owner": done.payout.owner, "fee": done.payout.fee, "renter": done.payout.renter}
        yield step | {
            "slot": _texts(vars(slot)),
            "payout": _texts(payout),
            "taken_in": str(done.taken_in),
            "held": str(held(agreement, slot)),
        }


def _texts(values: dict[str, Any]) -> dict[str, str]:
    return {name: str(int(value)) for name, value in values.items()}
