"""A clock that stands still until it is told to move."""

from datetime import UTC, datetime, timedelta


class FixedClock:
    """Tells the same moment until it is advanced."""

    def __init__(self, start: datetime = datetime(2026, 3, 1, 12, tzinfo=UTC)) -> None:
        self._now = start

    def now(self) -> datetime:
        """Return the moment it stands at, aware, in UTC."""
        return self._now

    def advance(self, *, seconds: float) -> None:
        """Move forward."""
        self._now += timedelta(seconds=seconds)
