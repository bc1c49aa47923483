"""What settlement counts and measures: rentals, the money the escrow holds, the chain, and claims.

Amounts are the token's base units, as floating-point numbers: for watching, never for reckoning.
"""

import math
import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from hireling.rental.escrow_math import Status
from services.chassis.metrics import counter, from_zero, gauge
from services.settlement.escrow.packed import ClaimOutcome
from services.settlement.moves import KINDS

RENTALS = gauge("hireling_settlement_rentals", "Rentals by the state they are in.", "state")
HELD = gauge(
    "hireling_settlement_held_base_units",
    "What the escrow holds for rentals that have not ended: prepayments and deposits, less what left.",
    "token",
)
DISPUTED = gauge(
    "hireling_settlement_disputed_base_units",
    "Of that, what it holds for rentals in which somebody disputes or claims damage.",
    "token",
)
PAID = gauge(
    "hireling_settlement_paid_base_units",
    "What the escrow paid on all rentals so far, fee included.",
    "token",
)
CLAIMS = counter(
    "hireling_settlement_claims_total",
    "Claims that confirmed logs of the escrow tell of, by its outcome: claimed, or why it was skipped.",
    "outcome",
)
TRANSACTIONS = counter(
    "hireling_settlement_transactions_total",
    "The relayer's transactions that became final, by kind: confirmed, or refused.",
    "kind",
    "outcome",
)
from_zero(CLAIMS, [outcome.name.lower() for outcome in ClaimOutcome])
from_zero(TRANSACTIONS, KINDS, ["confirmed", "refused"])
CHAIN_HEAD_AGE_SECONDS = gauge(
    "hireling_settlement_chain_head_age_seconds",
    "How old the newest block is that this process saw; not a number where another copy drives the chain.",
)
OPENS_PAUSED = gauge(
    "hireling_settlement_opens_paused", "1 while an operator has new rentals paused, else 0."
)
RELAYER_ETHER = gauge(
    "hireling_settlement_relayer_ether", "What the relayer has left for gas, in the chain's own coin."
)
DIFFERING = gauge(
    "hireling_settlement_differing",
    "Rentals of which our books and the escrow differed in the last comparison: must be 0.",
)
DRIFT = gauge(
    "hireling_settlement_drift_base_units",
    "By how much our books and the escrow differ, over all rentals, when last compared: must be 0.",
    "token",
)
UNCOVERED = gauge(
    "hireling_settlement_uncovered_base_units",
    "What the escrow's tokens lack of what it holds by our books, when last compared: must be 0.",
    "token",
)
# Not a number until the first comparison: none is not zero.
DIFFERING.set(math.nan)
RECONCILED_AGE_SECONDS = gauge(
    "hireling_settlement_reconciled_age_seconds",
    "How long ago the last whole comparison with the chain ended; not a number before the first.",
)


CONTESTED = Status.DISPUTE | Status.DAMAGE


@dataclass(frozen=True)
class Money:
    """What the books say of all rentals, in base units."""

    held: int
    disputed: int
    paid: float


def money_of(open_rentals: Iterable[tuple[int, Status]], *, paid: float) -> Money:
    """Return the money of rentals given by what the escrow holds for each and its status bits."""
    held = disputed = 0
    for amount, status in open_rentals:
        held += amount
        disputed += amount if status & CONTESTED else 0
    return Money(held=held, disputed=disputed, paid=paid)


WEI = 10**18


class _Head:
    """The newest block's time, Unix seconds."""

    time: float = math.nan


_head = _Head()
CHAIN_HEAD_AGE_SECONDS.set_function(lambda: time.time() - _head.time)


class _Reconciled:
    """When the last whole comparison ended, Unix seconds."""

    time: float = math.nan


_reconciled = _Reconciled()
RECONCILED_AGE_SECONDS.set_function(lambda: time.time() - _reconciled.time)


def note_head(block_time: int) -> None:
    """Note the time of the newest block."""
    _head.time = block_time


def show(*, rentals: Mapping[str, int], money: Money, token: str) -> None:
    """Show how many rentals are in each state, and the money."""
    RENTALS.clear()
    for state, number in rentals.items():
        RENTALS.labels(state).set(number)
    HELD.labels(token).set(money.held)
    DISPUTED.labels(token).set(money.disputed)
    PAID.labels(token).set(money.paid)


def show_fuel(wei: int) -> None:
    """Show what the relayer has left for gas."""
    RELAYER_ETHER.set(wei / WEI)


def show_reconciled(*, differing: int, drift: int, uncovered: int, token: str) -> None:
    """Show what a whole comparison with the chain found, in base units."""
    DIFFERING.set(differing)
    DRIFT.labels(token).set(drift)
    UNCOVERED.labels(token).set(uncovered)
    _reconciled.time = time.time()


def show_nothing() -> None:
    """Leave it to the copy that drives the chain, lest two copies' figures be added up."""
    for each in (RENTALS, HELD, DISPUTED, PAID, DRIFT, UNCOVERED):
        each.clear()
    _head.time = _reconciled.time = math.nan
    for figure in (RELAYER_ETHER, DIFFERING, OPENS_PAUSED):
        figure.set(math.nan)
