"""How much one device may send, so that a noisy one cannot starve the others. Pure."""

import math
from collections.abc import Sequence

from services.chassis.rate_limits import RateLimits
from services.metering.settings import MeteringSettings
from services.metering.wire import Incoming, Refused, rate_limited

# A reading in a batch costs no check of a signature and no message: about a tenth of one that comes alone. So
# many bytes are ten readings in JSON, and some more in CBOR.
BYTES_FOR_ONE = 6_500


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
