"""What use costs.

One pure integer function for the running meter, the renter's agent, the platform, the bill and the browser.

price = clamp(flat + half_even(exact sum of rate_i * counter_i / per_i), minimum, maximum), in the token's
base units. It takes cumulative counters, so that a lost, repeated or reordered message never changes the
total, and it rounds once.
"""

from collections.abc import Sequence
from functools import lru_cache
from math import gcd, lcm
from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from hireling.rental.documents import document_hash
from hireling.rental.errors import Malformed
from hireling.rental.money import UINT96_MAX, divide_half_even, divide_up
from hireling.rental.typed_data import Document, Int128, Uint64, Uint96, Uint256

MOST_COMPONENTS = 6
MOST_COUNTERS = 16
LARGEST_PER = (1 << 64) - 1
# What a line of a bill can hold; an amount due has 96 bits.
LARGEST_AMOUNT = (1 << 127) - 1
SECONDS_PER_HOUR = 3600

Name = Annotated[str, Field(min_length=1, max_length=32, pattern=r"^[A-Za-z][A-Za-z0-9_]*$")]
RateKind = Literal["time", "use", "idle"]
LineKind = Literal["flat", "time", "use", "idle", "minimum", "maximum", "uncovered"]


class CounterSpec(Document):
    """One of the meter's counters: ``max_per_second`` is the most it can grow in a real second."""

    name: Name
    unit: str = Field(min_length=1, max_length=16)
    max_per_second: Uint64


class Rate(Document):
    """``rate`` base units for every ``per`` units of a counter: of time, of use, or of idling or lateness."""

    kind: RateKind
    counter: Name
    rate: Uint96
    per: Uint64

    @model_validator(mode="after")
    def _check(self) -> Self:
        if self.per == 0:
            raise ValueError(f"the rate on {self.counter} is per 0 units")
        return self


class Tariff(Document):
    """At most six components: a flat fee, rates, a minimum, a maximum. Amounts in base units."""

    currency: str = Field(min_length=1, max_length=16)
    counters: tuple[CounterSpec, ...] = Field(min_length=1, max_length=MOST_COUNTERS)
    flat: Uint96 = 0
    rates: tuple[Rate, ...] = ()
    minimum: Uint96 = 0
    maximum: Uint96 | None = None

    @model_validator(mode="after")
    def _check(self) -> Self:
        names = [counter.name for counter in self.counters]
        if len(set(names)) != len(names):
            raise ValueError(f"two counters have one name: {', '.join(names)}")
        for rate in self.rates:
            if rate.counter not in names:
                raise ValueError(
                    f"the {rate.kind} rate is on {rate.counter}, which is none of {', '.join(names)}"
                )
        keys = [(rate.kind, rate.counter) for rate in self.rates]
        if len(set(keys)) != len(keys):
            raise ValueError("two rates of one kind are on one counter")
        if self.maximum is not None and self.maximum < self.minimum:
            raise ValueError(f"the maximum {self.maximum} is below the minimum {self.minimum}")
        if self.components > MOST_COMPONENTS:
            raise ValueError(f"{self.components} components, at most {MOST_COMPONENTS}")
        return self

    @property
    def components(self) -> int:
        """Return how many of flat, rates, minimum and maximum the price is made of."""
        return (self.flat > 0) + len(self.rates) + (self.minimum > 0) + (self.maximum is not None)

    def position_of(self, counter: str) -> int:
        """Return where the named counter stands in a reading's counters."""
        return next(index for index, spec in enumerate(self.counters) if spec.name == counter)


class BillLine(Document):
    """One line of a bill, in base units. ``maximum`` and ``uncovered`` (by ceilings or funds) take away."""

    kind: LineKind
    counter: Name | None = None
    quantity: Uint256 | None = None
    rate: Uint96 | None = None
    per: Uint64 | None = None
    amount: Int128


def price(tariff: Tariff, counters: Sequence[int]) -> int:
    """Return the price in base units of cumulative ``counters``, rounded once, half-even.

    Counters are >= 0, in the tariff's order.

    Raises Malformed if there is not one value for each of the tariff's counters, or for counters so large
    that no honest price comes of them.
    """
    numerator, denominator = _exact_sum(tariff, counters)
    amount = tariff.flat + divide_half_even(numerator, denominator)
    if amount > LARGEST_AMOUNT:
        raise Malformed("too_much_money", f"the counters make {amount}, beyond 127 bits")
    return _clamped(tariff, amount)


def worst_case(tariff: Tariff, seconds: int) -> int:
    """Return the most that ``seconds`` of use can cost: the price with every counter at its fastest."""
    return price(tariff, [spec.max_per_second * seconds for spec in tariff.counters])


def max_rate_per_hour(tariff: Tariff) -> int:
    """Return the most that an hour can add to the price, without the flat fee, rounded up."""
    numerator, denominator = _exact_sum(
        tariff, [spec.max_per_second * SECONDS_PER_HOUR for spec in tariff.counters]
    )
    return divide_up(numerator, denominator)


def amounts(tariff: Tariff, seconds: int, budget: int | None, ceiling_seconds: int) -> dict[str, int]:
    """Return max_total, block_max and max_rate_per_hour, in base units.

    Raises Malformed if one exceeds 96 bits.
    """
    per_hour = max_rate_per_hour(tariff)
    worst = worst_case(tariff, seconds)
    found = {
        "max_total": worst if budget is None else min(worst, budget),
        "block_max": max(tariff.flat, tariff.minimum)
        + divide_up(per_hour * ceiling_seconds, SECONDS_PER_HOUR),
        "max_rate_per_hour": per_hour,
    }
    for name, amount in found.items():
        if amount > UINT96_MAX:
            raise Malformed("too_much_money", f"{name} is {amount}, beyond 96 bits")
    return found


@lru_cache(maxsize=1024)
def scaled(tariff: Tariff, numerator: int, denominator: int) -> Tariff:
    """Return the tariff with its rates and flat fee times numerator / denominator; minimum and maximum stay.

    A rate stays exact by growing its ``per`` as far as 64 bits allow, and is rounded half-even beyond; so is
    the flat fee.
    """
    rates = tuple(_scaled_rate(rate, numerator, denominator) for rate in tariff.rates)
    flat = divide_half_even(tariff.flat * numerator, denominator)
    return Tariff.model_validate({**dict(tariff), "flat": flat, "rates": rates})


def asks_at_least(offered: Tariff, floor: Tariff) -> bool:
    """Return whether every component of ``offered`` asks at least what ``floor`` does.

    So nobody can hide a cut in the one rate that matters. Tariffs over other counters, with other rates or
    with a maximum below the floor's never do.
    """
    if (offered.currency, offered.counters) != (floor.currency, floor.counters):
        return False
    keys = [[(rate.kind, rate.counter) for rate in tariff.rates] for tariff in (offered, floor)]
    if keys[0] != keys[1] or offered.flat < floor.flat or offered.minimum < floor.minimum:
        return False
    if offered.maximum is not None and (floor.maximum is None or offered.maximum < floor.maximum):
        return False
    return all(
        asked.rate * least.per >= least.rate * asked.per
        for asked, least in zip(offered.rates, floor.rates, strict=True)
    )


@lru_cache(maxsize=1024)
def tariff_hash(tariff: Tariff) -> bytes:
    """Return the hash of the tariff's document: what an agreement carries of it."""
    return document_hash(tariff)


def lines(tariff: Tariff, counters: Sequence[int]) -> tuple[BillLine, ...]:
    """Return the lines of a bill, which sum to the price exactly.

    Each rate's line ends where the running sum rounds to.
    """
    found = [BillLine(kind="flat", amount=tariff.flat)] if tariff.flat else []
    scale = _scale(tariff)
    exact = rounded = 0
    for rate in tariff.rates:
        quantity = counters[tariff.position_of(rate.counter)]
        exact += rate.rate * quantity * (scale // rate.per)
        amount = divide_half_even(exact, scale) - rounded
        rounded += amount
        line = BillLine(
            kind=rate.kind,
            counter=rate.counter,
            quantity=quantity,
            rate=rate.rate,
            per=rate.per,
            amount=amount,
        )
        found.append(line)
    subtotal = tariff.flat + rounded
    correction = price(tariff, counters) - subtotal
    if correction:
        found.append(BillLine(kind="minimum" if correction > 0 else "maximum", amount=correction))
    return tuple(found)


def _exact_sum(tariff: Tariff, counters: Sequence[int]) -> tuple[int, int]:
    """Return the sum of the rates' parts as numerator and denominator."""
    if len(counters) != len(tariff.counters):
        raise Malformed("wrong_counters", f"{len(counters)} counters for a tariff of {len(tariff.counters)}")
    scale = _scale(tariff)
    parts = (
        rate.rate * counters[tariff.position_of(rate.counter)] * (scale // rate.per) for rate in tariff.rates
    )
    return sum(parts), scale


def _scale(tariff: Tariff) -> int:
    return lcm(*(rate.per for rate in tariff.rates))


def _clamped(tariff: Tariff, amount: int) -> int:
    amount = max(amount, tariff.minimum)
    return amount if tariff.maximum is None else min(amount, tariff.maximum)


def _scaled_rate(rate: Rate, numerator: int, denominator: int) -> Rate:
    product = rate.rate * numerator
    grown = denominator // gcd(product, denominator)
    if rate.per * grown > LARGEST_PER:
        return Rate.model_validate({**dict(rate), "rate": divide_half_even(product, denominator)})
    return Rate.model_validate(
        {**dict(rate), "rate": product * grown // denominator, "per": rate.per * grown}
    )
