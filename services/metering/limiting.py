"""How much one device may send, so that a noisy one cannot starve the others. Pure.

A token bucket a device, as the generic cell rate algorithm keeps it (ITU-T I.371): one number says when the
bucket would be full again. It is asked before anything of a message is parsed.
"""

import math
from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass

from services.metering.settings import MeteringSettings
from services.metering.wire import Incoming, Refused, rate_limited

# A reading in a batch costs no check of a signature and no message: about a tenth of one that comes alone. So
# many bytes are ten readings in JSON, and some more in CBOR.
BYTES_FOR_ONE = 6_500


@dataclass(frozen=True, slots=True)
class Limited:
    """A message beyond the device's rate.

    ``wait_seconds`` until one of its size would be taken; ``is_news`` where the device was not told lately.
    """

    wait_seconds: float
    is_news: bool


@dataclass(slots=True)
class _Bucket:
    full_at: float
    told_at: float


class RateLimits:
    """Knows the devices heard of last, at most `remembered` of them; one that was forgotten begins anew.

    Times are monotonic seconds.
    """

    def __init__(
        self, *, per_second: float, burst: int, tell_every_seconds: float, remembered: int = 100_000
    ) -> None:
        self._seconds_each = 1 / per_second
        self._depth_seconds = burst / per_second
        self._tell_every_seconds = tell_every_seconds
        self._remembered = remembered
        self._buckets: OrderedDict[str, _Bucket] = OrderedDict()

    def check(self, sender: str, *, worth: float, now: float) -> Limited | None:
        """Take so many readings' worth from the sender's bucket; return why not, where it holds less.

        A message worth more than a full bucket is never taken.
        """
        bucket = self._buckets.get(sender)
        if bucket is None:
            bucket = self._begin(sender, now)
        else:
            self._buckets.move_to_end(sender)
        full_at = max(now, bucket.full_at) + worth * self._seconds_each
        wait_seconds = full_at - now - self._depth_seconds
        if wait_seconds <= 0:
            bucket.full_at = full_at
            return None
        is_news = now >= bucket.told_at + self._tell_every_seconds
        if is_news:
            bucket.told_at = now
        return Limited(wait_seconds, is_news)

    def _begin(self, sender: str, now: float) -> _Bucket:
        bucket = self._buckets[sender] = _Bucket(full_at=now, told_at=now - self._tell_every_seconds)
        if len(self._buckets) > self._remembered:
            self._buckets.popitem(last=False)
        return bucket

    def __len__(self) -> int:
        return len(self._buckets)


def worth_of(incoming: Incoming) -> float:
    """Return how many single readings a message is worth, without looking into it."""
    if incoming.kind != "batches":
        return 1.0
    return 1.0 + len(incoming.payload) / BYTES_FOR_ONE


class Turnstile:
    """Lets messages in, and refuses what a device sends beyond its rate: now and then with a word to it."""

    def __init__(self, settings: MeteringSettings) -> None:
        self._limits = None
        if settings.readings_per_second:
            self._limits = RateLimits(
                per_second=settings.readings_per_second,
                burst=settings.readings_burst,
                tell_every_seconds=settings.limited_told_seconds,
            )

    def admit(
        self, messages: Sequence[Incoming], *, monotonic: float
    ) -> tuple[Sequence[Incoming], list[Refused], int]:
        """Return the messages to look at, the refusals to tell of, and how many are dropped in silence."""
        if self._limits is None:
            return messages, [], 0
        admitted, refusals, silent = [], [], 0
        for incoming in messages:
            limited = self._limits.check(_sender(incoming), worth=worth_of(incoming), now=monotonic)
            if limited is None:
                admitted.append(incoming)
            elif limited.is_news:
                refusals.append(rate_limited(incoming, wait_ms=math.ceil(limited.wait_seconds * 1000)))
            else:
                silent += 1
        return admitted, refusals, silent


def _sender(incoming: Incoming) -> str:
    """Return whose bucket a message is taken from; renters send a device's ceilings."""
    device = incoming.device or ""
    return f"{device}/ceilings" if incoming.kind == "ceilings" else device
