"""Roll-ups and what is asked of them: SQL that runs the same on both databases. None of it commits.

A stretch is some of a rental's readings of one minute, as ingest noted them beside each run. Folding
stretches by slots, of a minute, an hour or a chart's step, keeps of each slot how many readings there are,
and number, amount and counters of the first and the last. All of it is exact: what is folded is cumulative.
"""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import TextClause, bindparam, text
from sqlmodel import col, select

from services.chassis.database import try_lock
from services.chassis.tables import UtcDateTime
from services.metering.models import ReadingRun, Rental
from services.metering.run_store import RunStore

MINUTE, HOUR = 60, 3_600
WIDTHS = (MINUTE, HOUR)
# One roll-up transaction takes so much at most: SQLite lets nobody else write meanwhile.
RENTALS_AT_ONCE = 50
READINGS_OF_RENTAL_AT_ONCE = 1_000
RUNS_A_PAGE = 50
# Any number will do that nobody else in this database locks by; these are the letters "roll".
ROLL_UP_LOCK = 0x726F6C6C

_STRETCHES = {
    "postgresql": """
        SELECT u.rental_id, CAST(m.list ->> 0 AS bigint) AS start,
            CAST(m.list ->> 1 AS bigint) AS first_seq, CAST(m.list ->> 2 AS bigint) AS last_seq,
            CAST(m.list ->> 2 AS bigint) - CAST(m.list ->> 1 AS bigint) + 1 AS readings,
            m.list ->> 3 AS first_amount, m.list ->> 4 AS first_counters,
            m.list ->> 5 AS last_amount, m.list ->> 6 AS last_counters
        FROM {source} CROSS JOIN LATERAL json_array_elements(CAST(u.minutes AS json)) AS m(list)
    """,
    "sqlite": """
        SELECT u.rental_id, json_extract(m.value, '$[0]') AS start,
            json_extract(m.value, '$[1]') AS first_seq, json_extract(m.value, '$[2]') AS last_seq,
            json_extract(m.value, '$[2]') - json_extract(m.value, '$[1]') + 1 AS readings,
            json_extract(m.value, '$[3]') AS first_amount, json_extract(m.value, '$[4]') AS first_counters,
            json_extract(m.value, '$[5]') AS last_amount, json_extract(m.value, '$[6]') AS last_counters
        FROM {source} CROSS JOIN json_each(u.minutes) AS m
    """,
}
_FOLD = """
    ranked AS (
        SELECT slotted.*,
            row_number() OVER (PARTITION BY rental_id, slot ORDER BY first_seq) AS from_first,
            row_number() OVER (PARTITION BY rental_id, slot ORDER BY last_seq DESC) AS from_last
        FROM slotted
    ),
    folded AS (
        SELECT rental_id, slot, sum(readings) AS readings, min(first_seq) AS first_seq,
            max(last_seq) AS last_seq,
            max(CASE WHEN from_first = 1 THEN first_amount END) AS first_amount,
            max(CASE WHEN from_first = 1 THEN first_counters END) AS first_counters,
            max(CASE WHEN from_last = 1 THEN last_amount END) AS last_amount,
            max(CASE WHEN from_last = 1 THEN last_counters END) AS last_counters
        FROM ranked GROUP BY rental_id, slot
    )
"""
_FOLDED = "readings, first_seq, last_seq, first_amount, first_counters, last_amount, last_counters"

# How far each rental that has new readings is rolled up now.
_AIM = """
    INSERT INTO rolled_up (rental_id, next_seq, target)
    SELECT r.rental_id, coalesce(w.next_seq, 0),
        CASE WHEN r.next_seq - coalesce(w.next_seq, 0) > :readings
            THEN coalesce(w.next_seq, 0) + :readings ELSE r.next_seq END
    FROM rental AS r LEFT JOIN rolled_up AS w ON w.rental_id = r.rental_id
    WHERE r.next_seq > coalesce(w.next_seq, 0)
    ORDER BY r.next_seq - coalesce(w.next_seq, 0) DESC LIMIT :rentals
    ON CONFLICT (rental_id) DO UPDATE SET target = excluded.target
"""
_AIMED_AT = """
    rolled_up AS w JOIN rental AS r ON r.rental_id = w.rental_id AND w.target > w.next_seq
    JOIN reading_run AS u ON u.rental_id = w.rental_id
        AND u.first_seq >= w.next_seq AND u.first_seq < w.target
        AND u.received_at BETWEEN r.oldest_at AND r.newest_at
"""
# Numbers only grow, so that what comes late to a bucket comes after what is in it.
_ROLL = """
    INSERT INTO usage_bucket (rental_id, width, start, {columns})
    WITH slotted AS (SELECT s.*, s.start - s.start % :width AS slot FROM ({stretches}) AS s), {fold}
    SELECT rental_id, :width, slot, {columns} FROM folded WHERE true
    ON CONFLICT (rental_id, width, start) DO UPDATE SET
        readings = usage_bucket.readings + excluded.readings, last_seq = excluded.last_seq,
        last_amount = excluded.last_amount, last_counters = excluded.last_counters
"""
# The last run taken may end beyond the target; it begins less than a run's length before it.
_ADVANCE = """
    UPDATE rolled_up SET next_seq = (
        SELECT max(u.last_seq) + 1
        FROM rental AS r JOIN reading_run AS u ON u.rental_id = r.rental_id
            AND u.received_at BETWEEN r.oldest_at AND r.newest_at
        WHERE r.rental_id = rolled_up.rental_id
            AND u.first_seq < rolled_up.target AND u.first_seq >= rolled_up.target - 100
    ) WHERE target > next_seq
"""

# Buckets, and what is not rolled up yet.
_KNOWN = """
    known AS (
        SELECT rental_id, start, {columns} FROM usage_bucket
        WHERE rental_id = :rental_id AND width = :width AND start >= :begin AND start < :end
        UNION ALL
        SELECT rental_id, start - start % :width AS start, {columns} FROM ({stretches}) AS s
        WHERE start - start % :width >= :begin AND start < :end
    )
"""
_STEPS = """
    WITH {known}, slotted AS (SELECT known.*, (start - :begin) / :step AS slot FROM known), {fold}
    SELECT slot, {columns} FROM folded ORDER BY slot
"""
_NUMBERS = "WITH {known} SELECT min(first_seq), max(last_seq) FROM known"
_FIRST = """
    SELECT min(start) FROM (
        SELECT min(start) AS start FROM usage_bucket
        WHERE rental_id = :rental_id AND width = :width AND start >= :begin AND start < :end
        UNION ALL
        SELECT min(start - start % :width) AS start FROM ({stretches}) AS s
        WHERE start - start % :width >= :begin AND start < :end
    ) AS both_of_them
"""


@dataclass(frozen=True, kw_only=True, slots=True)
class Slot:
    """What a rental's readings within a slot amount to: how many, and the first and the last of them."""

    number: int
    readings: int
    first_seq: int
    last_seq: int
    first_amount: str
    first_counters: tuple[str, ...]
    last_amount: str
    last_counters: tuple[str, ...]


class UsageStore(RunStore):
    """Every question and change of one transaction."""

    # -- rolling up

    def has_unrolled(self) -> bool:
        """Return whether there are readings that are in no bucket yet."""
        query = (
            "SELECT 1 FROM rental AS r LEFT JOIN rolled_up AS w ON w.rental_id = r.rental_id"
            " WHERE r.next_seq > coalesce(w.next_seq, 0) LIMIT 1"
        )
        return self.session.execute(text(query)).first() is not None

    def roll_up(self) -> int:
        """Put some of the readings that are in no bucket yet into theirs; return of how many rentals.

        Returns 0 also where another process is doing the same.
        """
        if not try_lock(self.session, ROLL_UP_LOCK):
            return 0
        aim = {"readings": READINGS_OF_RENTAL_AT_ONCE, "rentals": RENTALS_AT_ONCE}
        aimed: int = self.session.execute(text(_AIM), aim).rowcount  # type: ignore[attr-defined]
        if aimed:
            stretches = self._stretches(_AIMED_AT)
            statement = text(_ROLL.format(columns=_FOLDED, stretches=stretches, fold=_FOLD))
            for width in WIDTHS:
                self.session.execute(statement, {"width": width})
            self.session.execute(text(_ADVANCE))
        return aimed

    # -- asking

    def steps(self, rental: Rental, *, begin: int, end: int, step: int, width: int) -> list[Slot]:
        """Return what the rental's readings amount to in each step between two moments, Unix seconds.

        Steps without any are left out. `begin` and `step` are multiples of `width`, one of WIDTHS.
        """
        statement = _STEPS.format(known=self._known(), fold=_FOLD, columns=_FOLDED)
        bound = self._bound(statement, rental, begin=begin, end=end, width=width, step=step)
        return [
            Slot(
                number=row.slot,
                readings=int(row.readings),
                first_seq=row.first_seq,
                last_seq=row.last_seq,
                first_amount=row.first_amount,
                first_counters=tuple(json.loads(row.first_counters)),
                last_amount=row.last_amount,
                last_counters=tuple(json.loads(row.last_counters)),
            )
            for row in self.session.execute(bound)
        ]

    def first_start(self, rental: Rental, *, begin: int, end: int, width: int) -> int | None:
        """Return when the first minute or hour between two moments begins that has readings, if one has."""
        statement = _FIRST.format(stretches=self._unrolled())
        bound = self._bound(statement, rental, begin=begin, end=end, width=width)
        found: int | None = self.session.execute(bound).scalar_one()
        return found

    def numbers(self, rental: Rental, *, begin: int, end: int) -> tuple[int, int] | None:
        """Return between which numbers the readings of the minutes between two moments are, if there are."""
        statement = _NUMBERS.format(known=self._known())
        bound = self._bound(statement, rental, begin=begin, end=end, width=MINUTE)
        first_seq, last_seq = self.session.execute(bound).one()
        return None if first_seq is None else (first_seq, last_seq)

    def documents(self, rental_id: str, first_seq: int, last_seq: int) -> Iterator[tuple[datetime, str]]:
        """Yield arrival and document of the runs that have these of a rental's readings."""
        query = (
            select(ReadingRun.received_at, ReadingRun.document)
            .where(self._between(rental_id, first_seq, last_seq))
            .order_by(col(ReadingRun.first_seq))
            .execution_options(yield_per=RUNS_A_PAGE)
        )
        with self.session.exec(query) as found:
            yield from found

    def _known(self) -> str:
        return _KNOWN.format(columns=_FOLDED, stretches=self._unrolled())

    def _unrolled(self) -> str:
        return f"""
            {self._stretches("reading_run AS u")}
            WHERE u.rental_id = :rental_id AND u.received_at BETWEEN :since AND :until AND u.first_seq >=
                coalesce((SELECT w.next_seq FROM rolled_up AS w WHERE w.rental_id = :rental_id), 0)
        """  # noqa: S608 - our own words

    def _bound(self, statement: str, rental: Rental, **values: Any) -> TextClause:
        return text(statement).bindparams(
            bindparam("since", rental.oldest_at, type_=UtcDateTime),
            bindparam("until", rental.newest_at, type_=UtcDateTime),
            rental_id=rental.rental_id,
            **values,
        )

    def _stretches(self, source: str) -> str:
        return _STRETCHES[self.session.get_bind().dialect.name].format(source=source)
