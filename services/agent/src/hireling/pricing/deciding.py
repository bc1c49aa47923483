"""Whether to change the listed price, and why.

The same view always gets the same decision. A decision is about the next listing only: a session that is
open goes on under the listing it was asked under, and a rental under its agreement.
"""

from dataclasses import dataclass, replace
from datetime import datetime
from functools import cached_property
from hashlib import sha256

from hireling.pricing.earning import Prospect, recent_factor, usual_demand
from hireling.pricing.history import History
from hireling.pricing.learning import Learned, learn
from hireling.pricing.rules import PriceRules

STRATEGY = "opportunity-cost"
VERSION = 1
# Before this much was seen, the owner's own price is the better guess.
FEWEST_QUESTIONS = 8
FEWEST_HOURS = 48.0
# A change has to be worth it: of what the price earns, and of the listed price.
LEAST_GAIN = 0.01
LEAST_CHANGE = 0.015

NOTHING_SEEN = History()


@dataclass(frozen=True)
class PriceView:
    """All that a decision depends on: times are aware, ``moved_at`` is when ``price`` was listed."""

    rules: PriceRules
    now: datetime
    price: int
    history: History = NOTHING_SEEN
    moved_at: datetime | None = None
    at_the_table: bool = False

    def __post_init__(self) -> None:
        """Raise ValueError for a view that contradicts itself."""
        if not self.rules.floor <= self.price <= self.rules.ceiling:
            raise ValueError(f"{self.price} is not from {self.rules.floor} to {self.rules.ceiling}")
        if self.now.tzinfo is None or (self.moved_at is not None and self.moved_at.tzinfo is None):
            raise ValueError("times must be aware")

    @cached_property
    def fingerprint(self) -> str:
        """Return the hash of all of the view: equal views make equal decisions."""
        rules = replace(self.rules, preferred=frozenset())
        rest = (rules, sorted(self.rules.preferred), self.now, self.price, self.moved_at, self.at_the_table)
        return sha256(f"{self.history.fingerprint}{rest!r}".encode()).hexdigest()


@dataclass(frozen=True)
class Parts:
    """What went into a decision.

    ``usual`` are questions an idle hour at the listed price, ``recent`` how the last day compares with it;
    ``used`` and ``earns`` say of the present price and of the ``best`` one the share of time in use and what
    an hour earns.
    """

    usual: float
    recent: float
    span_hours: float
    least: int
    best: int
    used_now: float
    used_best: float
    earns_now: float
    earns_best: float


@dataclass(frozen=True)
class Record:
    """Why a decision was made: ``inputs`` is the view's fingerprint, ``rule`` the rule that fired."""

    inputs: str
    rule: str
    price: int
    to: int
    parts: Parts | None = None
    strategy: str = STRATEGY
    version: int = VERSION


@dataclass(frozen=True)
class Keep:
    """Leave the price as it is."""

    record: Record


@dataclass(frozen=True)
class Move:
    """List anew at this price."""

    to: int
    record: Record


Decision = Keep | Move


def decide(view: PriceView) -> Decision:
    """Return what to do with the price."""
    if view.at_the_table:
        return _keep(view, "somebody is at the table")
    if view.moved_at is not None and view.now < view.moved_at + view.rules.least_between:
        return _keep(view, "too soon after the last change")
    # Learned once a day, from whole days: what a day says does not change while it is looked back at.
    learned = learn(view.history.before(_midnight(view)), view.rules)
    parts = _parts(view, learned)
    if view.price < parts.least:
        to = min(parts.least, view.price + view.rules.step)
        return _move(view, parts, to, "no discounts outside the preferred hours")
    if learned.questions < FEWEST_QUESTIONS and learned.watched_hours < FEWEST_HOURS:
        return _keep(view, "too little was seen yet", parts)
    return _towards(view, parts)


def _towards(view: PriceView, parts: Parts) -> Decision:
    change = parts.best - view.price
    if abs(change) < LEAST_CHANGE * view.rules.listed:
        return _keep(view, "already about right", parts)
    to = view.price + max(-view.rules.step, min(change, view.rules.step))
    if parts.earns_best < parts.earns_now * (1 + LEAST_GAIN):
        return _keep(view, "a change would gain too little", parts)
    rule = "demand carries more" if change > 0 else "a lower price earns more"
    return _move(view, parts, to, rule)


def _parts(view: PriceView, learned: Learned) -> Parts:
    rules, least = view.rules, view.rules.least_at(view.now)
    usual = usual_demand(learned, rules, view.now)
    recent = recent_factor(learned, rules, view.history, view.now)
    prospect = Prospect(usual * recent, learned.span_hours, learned.response)
    best = prospect.best(rules, least=least)
    return Parts(
        usual=usual,
        recent=recent,
        span_hours=learned.span_hours,
        least=least,
        best=best,
        used_now=prospect.used(view.price, rules),
        used_best=prospect.used(best, rules),
        earns_now=prospect.earns(view.price, rules),
        earns_best=prospect.earns(best, rules),
    )


def _midnight(view: PriceView) -> datetime:
    local = view.now.astimezone(view.rules.zone)
    return local.replace(hour=0, minute=0, second=0, microsecond=0)


def _keep(view: PriceView, rule: str, parts: Parts | None = None) -> Keep:
    return Keep(Record(view.fingerprint, rule, view.price, view.price, parts))


def _move(view: PriceView, parts: Parts, to: int, rule: str) -> Move:
    return Move(to, Record(view.fingerprint, rule, view.price, to, parts))
