"""How much one sender may send, so that a noisy one cannot starve the others. Pure.

A token bucket a sender, as the generic cell rate algorithm keeps it (ITU-T I.371): one number says when the
bucket would be full again. It is asked before anything of a message is parsed.
"""

from collections import OrderedDict
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Limited:
    """A message beyond the sender's rate.

    ``wait_seconds`` until one of its size would be taken; ``is_news`` where the sender was not told lately.
    """

    wait_seconds: float
    is_news: bool


@dataclass(slots=True)
class _Bucket:
    full_at: float
    told_at: float


class RateLimits:
    """Knows the senders heard of last, at most `remembered` of them; one that was forgotten begins anew.

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
        """Take so much from the sender's bucket; return why not, where it holds less.

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
