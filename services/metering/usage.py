"""What counts as usage, beyond what the chain of readings itself demands: how fast a counter may grow.

Counts, never prices.
"""

from dataclasses import dataclass
from datetime import datetime

from hireling.rental.errors import ReadingRefused
from hireling.rental.reading import ClockQuality, Reading, ReadingChain, Sample
from hireling.rental.typed_data import Domain


@dataclass(frozen=True, kw_only=True)
class Terms:
    """What an agreement fixes about measuring.

    ``counter_caps`` are units per real second, ``start_at`` is Unix seconds.

    ``max_total`` bounds ceilings, in base units: a number to compare with, never to reckon with.
    """

    rental_id: bytes
    device: str
    meter: bytes
    renter_agent: bytes
    domain: Domain
    counter_caps: tuple[int, ...]
    start_at: int
    max_total: int

    @property
    def beginning(self) -> ReadingChain:
        """Return the chain before the first reading."""
        return self.chain_after(None)

    def chain_after(self, last: Reading | None) -> ReadingChain:
        """Return the chain that ends with an accepted reading."""
        return ReadingChain.resumed(rental_id=self.rental_id, meter=self.meter, domain=self.domain, last=last)


def check_rate(
    terms: Terms, *, last: Reading | None, reading: Reading, received_at: datetime, slack_seconds: float
) -> None:
    """Refuse counters that grew faster than the machine can run.

    Two bounds: since the reading before, by the device's own clock; and since the agreed start, by ours, so
    that a device whose clock runs fast gains nothing in the long run. ``slack_seconds`` of running are
    allowed on top of each, for what the machine counts in one go and for clocks that differ.
    """
    counters = reading.sample.counters
    if len(counters) != len(terms.counter_caps):
        detail = f"{len(counters)} counters, the agreed tariff has {len(terms.counter_caps)}"
        raise ReadingRefused("malformed", detail)
    slack_ms = int(slack_seconds * 1000)
    since_start_ms = max(0, int(received_at.timestamp() * 1000) - terms.start_at * 1000)
    _check_growth(terms, counters, milliseconds=since_start_ms + slack_ms, since="the agreed start")
    elapsed_ms = _elapsed_ms(last.sample, reading.sample) if last else 0
    if elapsed_ms is not None:
        before = last.sample.counters if last else (0,) * len(counters)
        growth = tuple(now - then for now, then in zip(counters, before, strict=True))
        _check_growth(terms, growth, milliseconds=elapsed_ms + slack_ms, since="the reading before")


def _check_growth(terms: Terms, growth: tuple[int, ...], *, milliseconds: int, since: str) -> None:
    for place, (grown, cap) in enumerate(zip(growth, terms.counter_caps, strict=True)):
        if grown * 1000 > cap * milliseconds:
            raise ReadingRefused(
                "implausible_rate",
                f"counter {place} grew by {grown} since {since}, at most {cap} a second in {milliseconds} ms",
            )


def _elapsed_ms(before: Sample, after: Sample) -> int | None:
    """Return the time between two samples, or None where the device cannot know it.

    That is a reboot without a set clock.
    """
    if before.boot == after.boot:
        return after.monotonic_ms - before.monotonic_ms
    if ClockQuality.SYNCHRONISED == before.clock == after.clock:
        return max(0, after.wall_ms - before.wall_ms)
    return None
