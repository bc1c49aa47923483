"""What a batch made durable, as it is counted and timed once the database has it."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime

from hireling.rental.reading import ClockQuality
from services.metering import metrics
from services.metering.taking import Taken


@dataclass
class Durable:
    """How many readings, when they came, and when their devices say that they were measured."""

    readings: int = 0
    received_at: set[datetime] = field(default_factory=set)
    wall_ms: list[int] = field(default_factory=list)

    def note(self, accepted: Iterable[Taken]) -> None:
        """Note readings that count from now on, by the message that brought them."""
        for taken in accepted:
            last = taken.letter.gist.head
            self.readings += taken.count
            self.received_at.add(taken.letter.received_at)
            if last.clock == ClockQuality.SYNCHRONISED:
                self.wall_ms.append(last.wall_ms)

    def show(self, now: datetime) -> None:
        """Count and time them."""
        metrics.ACCEPTED.inc(self.readings)
        for moment in self.received_at:
            metrics.LAG_SECONDS.observe((now - moment).total_seconds())
        for wall_ms in self.wall_ms:
            # A clock that runs ahead says so by an age of nothing, however far.
            metrics.AGE_SECONDS.observe(max(0.0, now.timestamp() - wall_ms / 1000))
