"""What both sides of a session are told over MQTT after each move, however it was made.

The service's own outbox is the list of moves: every question, offer and signature has a row there, added in
the transaction that made it. What is told is how the session stands now, so that it may be told twice.
"""

from collections.abc import Collection, Sequence
from datetime import datetime, timedelta

from services.chassis.broker_line import Message
from services.chassis.database import Database
from services.chassis.outbox import OutboxRow, events_since, last_event_before
from services.messages.events.negotiation import Agreed, AgreementSigned, OfferMade, QuoteRequested
from services.negotiation.standing import Standing
from services.negotiation.standing_store import standings_of

MOVES = frozenset(event.type for event in (QuoteRequested, OfferMade, AgreementSigned, Agreed))
PAGE = 100
# Whoever was not told so long ago has asked by itself, or let the offer expire.
TOLD_AGAIN = timedelta(minutes=2)
# A number that is not there by then belongs to a transaction that was rolled back.
MISSING_FOR = timedelta(seconds=30)
MOST_MISSING = 1_000


class Teller:
    """Follows the moves, from those of the last two minutes on."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._last: int | None = None
        self._missing: dict[int, datetime] = {}
        self.is_behind = False
        """Whether there were more moves than `next` took at once."""

    def begin_again(self) -> None:
        """Tell the last minutes' moves again: what was published on a line that broke may be lost."""
        self._last = None
        self._missing.clear()

    def next(self, now: datetime) -> Sequence[Message]:
        """Return what to publish of the next moves: nothing where there are none for now."""
        rows = self._rows(now)
        moved = {str(row.payload["quote_id"]) for row in rows if row.type in MOVES}
        standings = self._standings(moved) if moved else ()
        self._note(rows, now)
        self.is_behind = len(rows) == PAGE
        return [message for each in standings for message in _messages(each, now)]

    def _rows(self, now: datetime) -> Sequence[OutboxRow]:
        with self._database.looks() as session:
            if self._last is None:
                self._last = last_event_before(session, now - TOLD_AGAIN)
            return events_since(session, after=self._last, missing=self._missing, limit=PAGE)

    def _standings(self, quote_ids: Collection[str]) -> Sequence[Standing]:
        with self._database.snapshot() as session:
            return standings_of(session, quote_ids)

    def _note(self, rows: Sequence[OutboxRow], now: datetime) -> None:
        last = self._last or 0
        for row in rows:
            if row.id > last:
                skipped = range(max(last + 1, row.id - MOST_MISSING), row.id)
                self._missing.update(dict.fromkeys(skipped, now))
                last = row.id
            else:
                self._missing.pop(row.id, None)
        self._last = last
        for number, since in list(self._missing.items()):
            if now - since > MISSING_FOR or len(self._missing) > MOST_MISSING:
                del self._missing[number]


def _messages(standing: Standing, now: datetime) -> Sequence[Message]:
    """Return what both sides are told: the same, so it is written once."""
    payload = standing.told(now).encode()
    return [(mover.topic("sessions"), payload) for mover in standing.movers]
