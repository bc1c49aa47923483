"""The queries about accepted readings, by their numbers. None of them commits.

PostgreSQL keeps each day's readings by themselves, so every query names the days it looks at: those
in which readings of the rentals it asks about arrived, as their rows tell.
"""

import json
from collections.abc import Collection, Iterator
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, TextClause, and_, bindparam, func, text
from sqlmodel import Session, col, select

from hireling.rental.typed_data import to_hex
from services.chassis.tables import UtcDateTime
from services.metering.models import ReadingRun, Rental
from services.metering.runs import HASH_BYTES, MOST_IN_RUN, hashes_between, readings_in

LARGEST_SEQ = 2**63 - 1
RUNS_A_PAGE = 50

Number = tuple[str, int]
# Between when and when all accepted readings of some rentals arrived, as their rows say.
Arrivals = tuple[datetime, datetime]

# However many numbers there are, it is the same statement.
_NUMBERS = {
    "postgresql": "SELECT n.pair ->> 0 AS rental_id, CAST(n.pair ->> 1 AS bigint) AS seq"
    " FROM json_array_elements(CAST(:numbers AS json)) AS n(pair)",
    "sqlite": "SELECT json_extract(n.value, '$[0]') AS rental_id, json_extract(n.value, '$[1]') AS seq"
    " FROM json_each(:numbers) AS n",
}
_HASHES = """
    SELECT n.rental_id, n.seq, substr(u.hashes, CAST((n.seq - u.first_seq) * :size + 1 AS integer), :size)
    FROM ({numbers}) AS n JOIN reading_run AS u
      ON u.rental_id = n.rental_id AND u.first_seq BETWEEN n.seq - :before AND n.seq AND u.last_seq >= n.seq
    WHERE u.received_at BETWEEN :since AND :until
"""
# Who stored a reading stored it in a row, so that the last reading of a rental ends one.
_ENDING = """
    SELECT n.rental_id, u.document
    FROM ({numbers}) AS n JOIN reading_run AS u
      ON u.rental_id = n.rental_id AND u.first_seq BETWEEN n.seq - :before AND n.seq AND u.last_seq = n.seq
    WHERE u.received_at BETWEEN :since AND :until
"""


class RunStore:
    """Finds accepted readings."""

    def __init__(self, session: Session) -> None:
        self.session = session

    def rentals(self, rental_ids: Collection[str]) -> dict[str, Rental]:
        """Return those of these rentals that are known."""
        found = self.session.exec(select(Rental).where(col(Rental.rental_id).in_(rental_ids)))
        return {rental.rental_id: rental for rental in found}

    def rental(self, rental_id: str) -> Rental:
        """Return a rental that is known."""
        return self.rentals([rental_id])[rental_id]

    def accepted_reading(self, rental_id: str, seq: int) -> dict[str, Any]:
        """Return an accepted reading as it travelled. Raises LookupError."""
        for reading in self.readings(rental_id, after=seq - 1, limit=1):
            return reading
        raise LookupError(f"reading {seq} of rental {rental_id} is not stored")

    def readings(
        self, rental_id: str, *, after: int, limit: int, arrived: Arrivals | None = None
    ) -> list[dict[str, Any]]:
        """Return up to `limit` accepted readings with a number above `after`, ascending.

        Whoever knows when they arrived spares a question.
        """
        if after >= LARGEST_SEQ:
            return []
        low, high = after + 1, min(after + limit, LARGEST_SEQ)
        query = (
            select(ReadingRun.first_seq, ReadingRun.document)
            .where(self._between(rental_id, low, high, arrived=arrived))
            .order_by(col(ReadingRun.first_seq))
        )
        found: list[dict[str, Any]] = []
        for first_seq, document in self.session.exec(query):
            found += readings_in(document)[max(0, low - first_seq) : high - first_seq + 1]
        return found

    def hash_of(self, rental_id: str, seq: int) -> str | None:
        """Return the hash of an accepted reading."""
        return self.reading_hashes([(rental_id, seq)]).get(rental_id, {}).get(seq)

    def reading_hashes(self, numbers: Collection[Number]) -> dict[str, dict[int, str]]:
        """Return the hashes of those of these readings that are accepted, by number, by rental."""
        hashes: dict[str, dict[int, str]] = {}
        if numbers:
            arrived = self._arrivals({rental_id for rental_id, _ in numbers})
            query = self._about(numbers, _HASHES, arrived=arrived).bindparams(size=HASH_BYTES)
            for rental_id, seq, found in self.session.execute(query):
                hashes.setdefault(rental_id, {})[seq] = to_hex(bytes(found))
        return hashes

    def last_readings(self, numbers: Collection[Number], *, arrived: Arrivals) -> dict[str, dict[str, Any]]:
        """Return the last accepted reading of each of these rentals, as it travelled; its number is given."""
        found = self.session.connection().execute(self._about(numbers, _ENDING, arrived=arrived))
        return {rental_id: readings_in(document)[-1] for rental_id, document in found}

    def _about(self, numbers: Collection[Number], query: str, *, arrived: Arrivals) -> TextClause:
        since, until = arrived
        return text(query.format(numbers=_NUMBERS[self.session.get_bind().dialect.name])).bindparams(
            bindparam("since", since, type_=UtcDateTime),
            bindparam("until", until, type_=UtcDateTime),
            numbers=json.dumps(list(numbers)),
            before=MOST_IN_RUN - 1,
        )

    def hashes(self, rental_id: str, first_seq: int, last_seq: int) -> list[bytes]:
        """Return the hashes of a rental's readings from one number to another, ascending."""
        query = (
            select(ReadingRun.first_seq, ReadingRun.hashes)
            .where(self._between(rental_id, first_seq, last_seq))
            .order_by(col(ReadingRun.first_seq))
        )
        return [
            hashed
            for begins, hashes in self.session.exec(query)
            for hashed in hashes_between(begins, hashes, first_seq, last_seq)
        ]

    def hashes_before(self, end: datetime, rental_id: str, *, from_seq: int) -> Iterator[list[bytes]]:
        """Yield the hashes of a rental's readings from a number on, up to the first that came later."""
        query = (
            select(ReadingRun.first_seq, ReadingRun.hashes, ReadingRun.received_at)
            .where(self._between(rental_id, from_seq, LARGEST_SEQ))
            .order_by(col(ReadingRun.first_seq))
            .execution_options(yield_per=RUNS_A_PAGE)
        )
        with self.session.exec(query) as found:
            for begins, hashes, received_at in found:
                if received_at >= end:
                    return
                yield hashes_between(begins, hashes, from_seq, LARGEST_SEQ)

    def newest_arrival(self, rental_id: str, first_seq: int, last_seq: int) -> datetime:
        """Return when the latest of a rental's readings from one number to another arrived.

        There must be one.
        """
        query = select(func.max(ReadingRun.received_at)).where(self._between(rental_id, first_seq, last_seq))
        newest: datetime = self.session.exec(query).one()
        return newest

    def _between(
        self, rental_id: str, first_seq: int, last_seq: int, *, arrived: Arrivals | None = None
    ) -> ColumnElement[bool]:
        """Return what holds of the rows that have a rental's readings with numbers in this range."""
        begins = col(ReadingRun.first_seq)
        return and_(
            col(ReadingRun.rental_id) == rental_id,
            begins.between(first_seq - MOST_IN_RUN + 1, last_seq),
            col(ReadingRun.last_seq) >= first_seq,
            col(ReadingRun.received_at).between(*(arrived or self._arrivals([rental_id]))),
        )

    def _arrivals(self, rental_ids: Collection[str]) -> Arrivals:
        """Return between when and when all accepted readings of these rentals, which are known, arrived."""
        query = select(func.min(Rental.oldest_at), func.max(Rental.newest_at))
        return self.session.exec(query.where(col(Rental.rental_id).in_(rental_ids))).one()
