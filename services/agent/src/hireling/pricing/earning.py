"""What a price is expected to earn, and the price that earns most.

A machine serves one renter at a time, so whoever comes meanwhile is lost: with g rentals begun per idle hour
and each taking s hours it is in use for the share s g / (1 + s g) of the time (Erlang's loss formula with one
server, whatever the spans' distribution). At price p it earns p times that. The best p therefore contains
what it costs to be taken: where many ask, a low price only turns the next one away.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta

from hireling.pricing.history import History
from hireling.pricing.learning import Learned, Response, begun
from hireling.pricing.rules import HOUR, PriceRules

# How much of the last day's difference from what is usual is believed: as if so many questions were usual.
BELIEVED_AFTER = 3.0
RECENT = timedelta(hours=24)


@dataclass(frozen=True)
class Prospect:
    """What lies ahead: questions per idle hour at the listed price, and hours a rental takes."""

    demand: float
    span_hours: float
    response: Response

    def used(self, price: int, rules: PriceRules) -> float:
        """Return the share of the time that the machine is in use at a price."""
        began = self.demand * begun(self.response, price / rules.listed - 1)
        return self.span_hours * began / (1 + self.span_hours * began)

    def earns(self, price: int, rules: PriceRules) -> float:
        """Return what a price earns an hour, in base units for each unit that the machine uses in one."""
        return price * self.used(price, rules)

    def best(self, rules: PriceRules, *, least: int) -> int:
        """Return the price from ``least`` to the ceiling that earns most; of several the lowest."""
        return max(rules.prices(least), key=lambda price: (self.earns(price, rules), -price))


def usual_demand(learned: Learned, rules: PriceRules, now: datetime) -> float:
    """Return the usual questions an hour while a rental that began now would take, or until the next change.

    Being taken costs what is asked for meanwhile, so a rental before a busy hour is dearer too.
    """
    span = max(timedelta(hours=learned.span_hours), rules.least_between, HOUR)
    touched = list(rules.hours_from(now, min(span, timedelta(weeks=1))))
    return sum(learned.rates[place] * hours for place, hours in touched) / sum(hours for _, hours in touched)


def recent_factor(learned: Learned, rules: PriceRules, history: History, now: datetime) -> float:
    """Return how the last day compares with what is usual: 1 where it does, less the longer nobody asks.

    The posterior mean of a level with a gamma prior about 1.
    """
    expected = asked = 0.0
    for hour in history.since(now - RECENT).hours:
        usual = learned.rates[rules.hour_of_week(hour.at)]
        expected += usual * hour.idle_hours * learned.response.asks(hour.price / rules.listed - 1)
        asked += hour.questions
    return (BELIEVED_AFTER + asked) / (BELIEVED_AFTER + expected)
