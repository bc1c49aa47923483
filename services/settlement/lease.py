"""Which copy of settlement drives the chain.

The lease is a row: whose it is, and until when by its holder's clock, who prolongs it while it lives. Clocks
may be wrong by minutes, and one that is ahead must not keep others waiting for as long after its end: a lease
has run out too when another waited for its whole length, by its own measure, and nobody prolonged it.
"""

import uuid
from collections.abc import Callable
from datetime import datetime
from time import monotonic

from services.chassis.database import Database
from services.settlement.store import Held, Store

CHAIN = "chain"


class Lease:
    """One process's claim to the lease; ``ticks`` measures seconds, whatever the time of day."""

    def __init__(self, *, seconds: int, ticks: Callable[[], float] = monotonic) -> None:
        self._holder = uuid.uuid4().hex
        self._seconds = seconds
        self._ticks = ticks
        self._prolong_at: float | None = None
        self._watched: tuple[Held, float] | None = None

    def holds(self, database: Database, *, now: datetime) -> bool:
        """Return whether this process has the lease, taking it where nobody has."""
        at = self._ticks()
        if self._prolong_at is not None and at < self._prolong_at:
            return True
        lapsed = self._lapsed(at)
        held = database.work(
            lambda session: Store(session, now=now).hold_lease(
                CHAIN, holder=self._holder, seconds=self._seconds, lapsed=lapsed
            )
        )
        if held.holder == self._holder:
            self._prolong_at, self._watched = at + self._seconds / 2, None
            return True
        self._prolong_at = None
        if self._watched is None or self._watched[0] != held:
            self._watched = (held, at)
        return False

    def _lapsed(self, at: float) -> Held | None:
        """Return another's lease that was not prolonged for its whole length."""
        if self._watched is None:
            return None
        held, since = self._watched
        return held if at >= since + self._seconds else None
