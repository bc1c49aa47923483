"""Prices, counters and moments in words, exact: what people read is what the protocol computes."""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime

from hireling.rental.money import Token, format_amount
from hireling.rental.tariff import CounterSpec, Rate, Tariff, worst_case

HOUR_SECONDS = 3600

# How many of a counter's own units make the unit people think in, largest first: SI, and 1 Wh = 3600 J.
_SCALES: Mapping[str, Sequence[tuple[int, str]]] = {
    "mJ": ((3_600_000_000, "kWh"), (3_600_000, "Wh"), (1_000, "J")),
    "J": ((3_600_000, "kWh"), (3_600, "Wh")),
    "mWh": ((1_000_000, "kWh"), (1_000, "Wh")),
    "ms": ((3_600_000, "hour"), (60_000, "minute"), (1_000, "second")),
    "s": ((3_600, "hour"), (60, "minute"), (1, "second")),
    "mm": ((1_000, "metre"),),
    "mg": ((1_000, "gram"),),
    "ml": ((1_000, "litre"),),
}
_READ_IN: Mapping[str, tuple[int, str, int]] = {
    "mJ": (3_600_000, "Wh", 3),
    "J": (3_600, "Wh", 3),
    "mWh": (1_000, "Wh", 3),
    "ms": (1_000, "s", 1),
    "mm": (1_000, "m", 3),
    "mg": (1_000, "g", 3),
    "ml": (1_000, "l", 3),
}


def price_words(tariff: Tariff, token: Token) -> list[str]:
    """Return a tariff's components, one phrase each, as in ``0.300000 tUSD per kWh``."""
    phrases = [_rate_words(rate, tariff, token) for rate in tariff.rates]
    if tariff.flat:
        phrases.insert(0, f"{format_amount(tariff.flat, token)} to start")
    if tariff.minimum:
        phrases.append(f"at least {format_amount(tariff.minimum, token)}")
    if tariff.maximum is not None:
        phrases.append(f"at most {format_amount(tariff.maximum, token)}")
    return phrases or ["free"]


def all_in_words(tariff: Tariff, token: Token, *, deposit: int, longest_seconds: int) -> str:
    """Return the worst case of an hour and the deposit that comes back.

    Where the longest rental is shorter than an hour, its worst case.
    """
    seconds = min(HOUR_SECONDS, longest_seconds)
    worst, held = (format_amount(amount, token) for amount in (worst_case(tariff, seconds), deposit))
    return f"{duration_words(seconds)} costs at most {worst} all in, plus {held} deposit that comes back"


def counter_words(spec: CounterSpec, value: int) -> str:
    """Return a counter's value in the unit people think in, rounded down, as in ``75.180 Wh``."""
    if spec.unit not in _READ_IN:
        return f"{value:,} {spec.unit}".replace(",", "\u00a0")
    scale, unit, digits = _READ_IN[spec.unit]
    whole, rest = divmod(value * 10**digits // scale, 10**digits)
    return f"{whole}.{rest:0{digits}d} {unit}"


def name_words(spec: CounterSpec) -> str:
    """Return a counter's name without the unit that its value is written with anyway, as in ``energy``."""
    return spec.name.removesuffix(f"_{spec.unit}").replace("_", " ")


def duration_words(seconds: int) -> str:
    """Return a duration in its one or two largest units, as in ``1 h 30 min``."""
    days, rest = divmod(seconds, 86_400)
    hours, rest = divmod(rest, 3_600)
    minutes, rest = divmod(rest, 60)
    parts = [
        f"{amount} {unit}"
        for amount, unit in ((days, "d"), (hours, "h"), (minutes, "min"), (rest, "s"))
        if amount
    ]
    return " ".join(parts[:2]) or "0 s"


def moment_words(moment: datetime | int) -> str:
    """Return a moment, aware or in Unix seconds, as UTC to the second."""
    at = datetime.fromtimestamp(moment, UTC) if isinstance(moment, int) else moment.astimezone(UTC)
    return f"{at:%Y-%m-%d %H:%M:%S} UTC"


def short(identity: bytes) -> str:
    """Return enough of a key or hash to recognise it."""
    text = identity.hex()
    return f"0x{text}" if len(text) <= 16 else f"0x{text[:8]}…{text[-4:]}"


def _rate_words(rate: Rate, tariff: Tariff, token: Token) -> str:
    spec = next(spec for spec in tariff.counters if spec.name == rate.counter)
    amount = format_amount(rate.rate, token)
    idle = " while idle" if rate.kind == "idle" else ""
    for scale, unit in _SCALES.get(spec.unit, ()):
        if rate.per == scale:
            return f"{amount} per {unit}{idle}"
    per = spec.unit if rate.per == 1 else f"{rate.per} {spec.unit}"
    return f"{amount} per {per}{idle}"
