"""What the pricing agent earns beside a fixed price and a naive rule: ``make bench-pricing``.

One machine for some weeks of made-up demand, and of real arrivals where ``--trace`` names some. Each strategy
meets the very same visitors: when they come, what they would pay at most, how long they stay. None of it is
known to the strategies. Half of the visitors look at the listed price first and stay away where it is far
above theirs; the others ask. Both bargain: the owner goes down to its floor and never under four fifths of
what is listed. Whoever comes while the machine is in use is lost.

Beside the owner's own price stands the best fixed price, which nobody knows beforehand: the one of the same
grid that earned most on the same visitors. Seeds under 1000 were for tuning. The last line is one JSON
object.
"""

import argparse
import csv
import json
import math
import random
import statistics
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path

from hireling.pricing.deciding import Move, PriceView, decide
from hireling.pricing.history import History, Hour, kept
from hireling.pricing.rules import HOUR, PriceRules

BEGAN = datetime(2019, 3, 1, tzinfo=UTC)  # the first minute of the trace; a Friday
LISTED = 400_000
RULES = PriceRules(
    listed=LISTED, floor=LISTED * 6 // 10, ceiling=LISTED * 2, step=LISTED * 8 // 100, least_between=HOUR
)
BARGAINED_TO = 0.8
LOOKS_FIRST = 0.5
STAYS_AWAY_ABOVE = 1.2
# One of so many of a site's arrivals comes to the one machine.
OF_A_SITE = 8
TUNING = range(4)
REPORTED = range(1000, 1008)


@dataclass(frozen=True)
class Visitor:
    """Somebody who would rent: what they would pay at most, as a share of the listed price, and how long."""

    at: datetime
    worth: float
    hours: float
    looks_first: bool
    luck: float


@dataclass(frozen=True)
class World:
    """Demand: visitors an hour by hour of the week and week, what they would pay, how long they stay."""

    rate: Callable[[int, int], float]
    worth: Callable[[random.Random], float]
    hours: float = 1.0
    weeks: int = 8

    def visitors(self, seed: int) -> Iterator[Visitor]:
        """Return those who come, in order."""
        chance = random.Random(seed)
        for number in range(self.weeks * 168):
            began = BEGAN + number * HOUR
            place = began.weekday() * 24 + began.hour
            mean = self.rate(place, number // 168)
            for minute in sorted(chance.randrange(3600) for _ in range(_poisson(chance, mean))):
                yield _visitor(chance, began + timedelta(seconds=minute), self.worth, self.hours)


def _visitor(
    chance: random.Random, at: datetime, worth: Callable[[random.Random], float], hours: float
) -> Visitor:
    return Visitor(
        at=at,
        worth=worth(chance),
        hours=min(24.0, hours * chance.lognormvariate(-0.125, 0.5)),
        looks_first=chance.random() < LOOKS_FIRST,
        luck=chance.random(),
    )


def _poisson(chance: random.Random, mean: float) -> int:
    number, left = 0, chance.expovariate(1.0)
    while left < mean:
        number, left = number + 1, left + chance.expovariate(1.0)
    return number


def _even(low: float, high: float) -> Callable[[random.Random], float]:
    return lambda chance: chance.uniform(low, high)


def _lognormal(median: float, spread: float) -> Callable[[random.Random], float]:
    return lambda chance: median * math.exp(chance.gauss(0, spread))


def _evenings(place: int, _week: int) -> float:
    hour, weekend = place % 24, place // 24 >= 5
    peak = math.exp(-(((hour - 19) / 2.5) ** 2))
    return 0.05 + (1.4 if weekend else 2.2) * peak


def _commuters(place: int, _week: int) -> float:
    hour, weekend = place % 24, place // 24 >= 5
    peaks = math.exp(-(((hour - 8) / 1.5) ** 2)) + 0.8 * math.exp(-(((hour - 17) / 2) ** 2))
    return 0.1 + (0.2 if weekend else 2.5) * peaks


WORLDS = {
    # Few come, and the owner asks too much for them.
    "quiet": World(lambda _place, _week: 0.15, _even(0.2, 1.3), hours=1.5),
    # More come than can be served, and most would pay more.
    "busy": World(lambda _place, _week: 2.5, _lognormal(1.2, 0.5), hours=1.0),
    "evenings": World(_evenings, _lognormal(1.0, 0.4), hours=1.5),
    "commuters": World(_commuters, _even(0.4, 1.8), hours=2.0),
    # The owner's price is about right, always: there is nothing to gain.
    "steady": World(lambda _place, _week: 0.3, _lognormal(1.05, 0.25), hours=1.0),
    # After four weeks most stay away.
    "falling": World(lambda _place, week: 1.5 if week < 4 else 0.2, _even(0.3, 1.6), hours=1.0),
}


def read_trace(path: Path) -> Sequence[tuple[datetime, float]]:
    """Return when somebody came and for how many hours, of a CSV in minutes since the beginning."""
    with path.open(newline="") as file:
        rows = [(int(row["arrival_minute"]), int(row["departure_minute"])) for row in csv.DictReader(file)]
    return [(BEGAN + timedelta(minutes=came), (left - came) / 60) for came, left in sorted(rows)]


def of_trace(trace: Sequence[tuple[datetime, float]], seed: int) -> Iterator[Visitor]:
    """Return a part of real arrivals with their real stays; only what they would pay is made up."""
    chance = random.Random(seed)
    for at, hours in trace:
        visitor = _visitor(chance, at, _lognormal(1.0, 0.4), hours)
        if chance.random() * OF_A_SITE < 1:
            yield Visitor(at, visitor.worth, hours, visitor.looks_first, visitor.luck)


@dataclass
class Season:
    """One machine's time under one strategy."""

    price: int = LISTED
    moved_at: datetime | None = None
    earned: float = 0.0
    busy_hours: float = 0.0
    rentals: int = 0
    moves: int = 0
    hours: list[Hour] = field(default_factory=list)


Strategy = Callable[[Season, datetime], int]


def fixed(price: int) -> Strategy:
    """Return the strategy that never moves."""
    return lambda _season, _now: price


def naive(season: Season, now: datetime) -> int:
    """Return the price of a rule of thumb: 5 % more after a rental, 5 % less after six idle hours."""
    last = season.hours[-1] if season.hours else None
    if last is not None and last.agreed:
        return min(RULES.ceiling, season.price * 105 // 100)
    idle = [hour for hour in season.hours[-6:] if not hour.agreed and not hour.busy_seconds]
    if len(idle) == 6 and (season.moved_at is None or now - season.moved_at >= 6 * HOUR):
        return max(RULES.floor, season.price * 95 // 100)
    return season.price


def ours(season: Season, now: datetime) -> int:
    """Return the pricing agent's price."""
    history = kept(season.hours, now) if len(season.hours) % 24 == 0 else History(tuple(season.hours[-1344:]))
    view = PriceView(RULES, now, season.price, history, season.moved_at)
    decision = decide(view)
    return decision.to if isinstance(decision, Move) else season.price


def play(visitors: Sequence[Visitor], strategy: Strategy, hours: int) -> Season:
    """Return what a strategy makes of these visitors; it may move the price each hour."""
    season, waiting, free_at = Season(), iter(visitors), BEGAN
    following = next(waiting, None)
    for number in range(hours):
        began = BEGAN + number * HOUR
        price = strategy(season, began)
        if price != season.price:
            season.price, season.moved_at, season.moves = price, began, season.moves + (number > 0)
        busy_from = min(max(free_at - began, timedelta(0)), HOUR)
        busy, questions, agreed, lost = busy_from, 0, [], []
        while following is not None and following.at < began + HOUR:
            visitor, following = following, next(waiting, None)
            if visitor.at < free_at or not _asks(visitor, price):
                continue
            questions += 1
            deal, offered = _bargain(visitor, price)
            if not deal:
                lost.append(offered)
                continue
            agreed.append(offered)
            free_at = visitor.at + timedelta(hours=visitor.hours)
            busy += min(free_at, began + HOUR) - visitor.at
            season.earned += offered * visitor.hours
            season.rentals += 1
        idle = HOUR - busy
        season.busy_hours += busy / HOUR
        season.hours.append(
            Hour(
                at=began,
                price=price,
                idle_seconds=round(idle.total_seconds()),
                busy_seconds=round(busy.total_seconds()),
                questions=questions,
                agreed=tuple(agreed),
                lost=tuple(lost),
            )
        )
    return season


def _asks(visitor: Visitor, price: int) -> bool:
    return not visitor.looks_first or price <= visitor.worth * LISTED * STAYS_AWAY_ABOVE


def _bargain(visitor: Visitor, price: int) -> tuple[bool, int]:
    """Return whether there is a deal, and at which price; without one, the renter's last offer."""
    least = max(RULES.floor, round(BARGAINED_TO * price))
    would = min(price, round(visitor.worth * LISTED))
    if would >= least:
        return True, round(least + (would - least) * (0.5 + visitor.luck / 2))
    return False, round(would * (0.7 + 0.3 * visitor.luck))


def compare(name: str, seed: int, trace: Sequence[tuple[datetime, float]]) -> dict[str, float]:
    """Return what the strategies made of one world and seed, in shares of the owner's own price's revenue."""
    if name == "charging":
        visitors, hours = list(of_trace(trace, seed)), 31 * 24
    else:
        visitors, hours = list(WORLDS[name].visitors(seed)), WORLDS[name].weeks * 168
    plain = play(visitors, fixed(LISTED), hours)
    grid = range(RULES.floor, RULES.ceiling + 1, LISTED // 20)
    best = max((play(visitors, fixed(price), hours) for price in grid), key=lambda season: season.earned)
    found: dict[str, float] = {"best_fixed": best.earned / plain.earned}
    for strategy in (naive, ours):
        season = play(visitors, strategy, hours)
        found[f"{strategy.__name__}"] = season.earned / plain.earned
        found[f"{strategy.__name__}_used"] = season.busy_hours / hours
        found[f"{strategy.__name__}_changes_a_day"] = season.moves / hours * 24
    found["fixed_used"] = plain.busy_hours / hours
    return found


def measure(
    names: Sequence[str], seeds: Sequence[int], trace: Sequence[tuple[datetime, float]]
) -> dict[str, object]:
    """Return the means over the seeds for each world."""
    jobs = [(name, seed) for name in names for seed in seeds]
    with ProcessPoolExecutor(max_workers=2) as pool:
        results = list(pool.map(partial(_job, trace=trace), jobs))
    table: dict[str, object] = {}
    for name in names:
        rows = [found for (other, _), found in zip(jobs, results, strict=True) if other == name]
        table[name] = {key: round(statistics.mean(row[key] for row in rows), 3) for key in rows[0]} | {
            "ours_worst": round(min(row["ours"] for row in rows), 3)
        }
        print(f"{name}: {json.dumps(table[name])}", flush=True)
    return table


def _job(job: tuple[str, int], *, trace: Sequence[tuple[datetime, float]]) -> dict[str, float]:
    return compare(*job, trace)


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--worlds", nargs="*", default=list(WORLDS), choices=list(WORLDS))
    parser.add_argument("--seeds", type=int, nargs="*", default=list(REPORTED))
    parser.add_argument("--tuning", action="store_true", help="the seeds for tuning instead")
    parser.add_argument(
        "--trace", type=Path, help="CSV with arrival_minute and departure_minute since a Friday"
    )
    options = parser.parse_args()
    trace = read_trace(options.trace) if options.trace else ()
    names = [*options.worlds, *(["charging"] if trace else [])]
    seeds = list(TUNING) if options.tuning else options.seeds
    print(json.dumps({"weeks": 8, "seeds": seeds, "worlds": measure(names, seeds, trace)}))


if __name__ == "__main__":
    main()
