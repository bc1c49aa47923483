"""The queries that make room for readings, and let go of what is no longer kept. None of them commits."""

from datetime import UTC, date, datetime, time, timedelta
from typing import Any

from sqlalchemy import bindparam, text
from sqlmodel import Session

from services.chassis.database import try_lock
from services.chassis.tables import UtcDateTime

# Any number will do that nobody else in this database locks by; these are the letters "keep".
UPKEEP_LOCK = 0x6B656570
# While PostgreSQL waits for a table's lock, whoever comes after waits too: better to try again later.
LONGEST_WAIT = "2s"
LONGEST_MOVE = "60s"
PIECE = 200

_PARTITIONS = """
    SELECT to_date(substr(c.relname, 13), 'YYYYMMDD')
    FROM pg_inherits AS i JOIN pg_class AS c ON c.oid = i.inhrelid
    WHERE i.inhparent = CAST('reading_run' AS regclass) AND c.relname <> 'reading_run_other' ORDER BY 1
"""
_OTHER_DAYS = "SELECT DISTINCT CAST(received_at AT TIME ZONE 'UTC' AS date) FROM reading_run_other ORDER BY 1"

# Rentals with readings of a day that somebody may still need: not over for long enough, not under a root that
# is on the chain, or not in their minutes and hours.
_NEEDED = """
    SELECT r.rental_id FROM rental AS r
    WHERE r.oldest_at < :end AND r.newest_at >= :begin
        AND EXISTS (
            SELECT 1 FROM reading_run AS u
            WHERE u.rental_id = r.rental_id AND u.received_at >= :begin AND u.received_at < :end
        )
        AND (
            r.finished_at IS NULL OR r.finished_at > :before
            OR r.next_seq > coalesce(
                (SELECT max(s.last_seq) + 1 FROM day_span AS s WHERE s.rental_id = r.rental_id), 0)
            OR r.next_seq > coalesce(
                (SELECT w.next_seq FROM rolled_up AS w WHERE w.rental_id = r.rental_id), 0)
            OR EXISTS (
                SELECT 1 FROM day_span AS s JOIN closed_day AS c ON c.day = s.day
                WHERE s.rental_id = r.rental_id AND c.seen_at IS NULL
            )
        )
    LIMIT 1
"""
_LET_GO = """
    UPDATE rental SET kept_from = (
        SELECT max(u.last_seq) + 1 FROM reading_run AS u
        WHERE u.rental_id = rental.rental_id AND u.received_at >= :begin AND u.received_at < :end
    )
    WHERE oldest_at < :end AND newest_at >= :begin AND EXISTS (
        SELECT 1 FROM reading_run AS u
        WHERE u.rental_id = rental.rental_id AND u.received_at >= :begin AND u.received_at < :end
            AND u.last_seq >= rental.kept_from
    )
"""
_DELETE_PIECE = """
    DELETE FROM reading_run WHERE (rental_id, first_seq, received_at) IN (
        SELECT u.rental_id, u.first_seq, u.received_at
        FROM rental AS r JOIN reading_run AS u ON u.rental_id = r.rental_id
        WHERE r.oldest_at < :end AND r.newest_at >= :begin
            AND u.received_at >= :begin AND u.received_at < :end
        LIMIT :piece
    )
"""
_PUBLISHED = """
    DELETE FROM downlink WHERE published_at < :before
        AND id IN (SELECT id FROM downlink ORDER BY id LIMIT :piece)
"""
_REFUSED = """
    DELETE FROM refusal WHERE id IN (
        SELECT f.id FROM refusal AS f
        WHERE f.at < :before AND NOT EXISTS (
            SELECT 1 FROM rental AS r
            WHERE r.rental_id = f.rental_id AND (r.finished_at IS NULL OR r.finished_at > :before)
        )
        ORDER BY f.id LIMIT :piece
    )
"""


class UpkeepStore:
    """Every question and change of one transaction."""

    def __init__(self, session: Session) -> None:
        self.session = session
        self.is_partitioned = session.get_bind().dialect.name == "postgresql"

    def try_lock(self) -> bool:
        """Return whether this transaction alone may make and drop what holds readings."""
        if self.is_partitioned:
            self.session.execute(text(f"SET LOCAL lock_timeout = '{LONGEST_WAIT}'"))
        return try_lock(self.session, UPKEEP_LOCK)

    # -- room

    def partitions(self) -> list[date]:
        """Return the days that have a partition, ascending."""
        return list(self.session.execute(text(_PARTITIONS)).scalars())

    def other_days(self) -> list[date]:
        """Return the days of readings that came where no partition was, ascending."""
        return list(self.session.execute(text(_OTHER_DAYS)).scalars())

    def make_partition(self, day: date) -> None:
        """Make a day's partition, and move there what came before it was made."""
        name, begin, end = _name(day), _begin(day), _begin(day + timedelta(days=1))
        between = f"received_at >= '{begin.isoformat()}' AND received_at < '{end.isoformat()}'"
        for statement in (
            f"SET LOCAL statement_timeout = '{LONGEST_MOVE}'",
            # Nobody may add to the day in between, and a COPY that had chosen the other partition would fail.
            "LOCK TABLE ONLY reading_run IN ACCESS EXCLUSIVE MODE",
            "LOCK TABLE reading_run_other IN ACCESS EXCLUSIVE MODE",
            f"CREATE TABLE {name} (LIKE reading_run INCLUDING ALL)",
            f"WITH moved AS (DELETE FROM reading_run_other WHERE {between} RETURNING *)"  # noqa: S608 - ours
            f" INSERT INTO {name} SELECT * FROM moved",
            f"ALTER TABLE reading_run ATTACH PARTITION {name}"
            f" FOR VALUES FROM ('{begin.isoformat()}') TO ('{end.isoformat()}')",
        ):
            self.session.execute(text(statement))

    # -- letting go

    def oldest_arrival(self) -> datetime | None:
        """Return when the oldest reading that is kept arrived."""
        query = text("SELECT min(received_at) AS oldest FROM reading_run").columns(oldest=UtcDateTime)
        oldest: datetime | None = self.session.execute(query).scalar_one()
        return oldest

    def is_needed(self, day: date, *, before: datetime) -> bool:
        """Return whether a day's readings may not go.

        They may once every rental with readings in it was over before this moment, and all of these are under
        roots that are on the chain and in their minutes and hours.
        """
        return self._of_day(_NEEDED, day, before=before).first() is not None

    def let_go(self, day: date) -> None:
        """Note that a day's readings, and those before them in their rentals, are not kept any more."""
        self._of_day(_LET_GO, day)

    def drop_partition(self, day: date) -> None:
        """Delete a day's readings at once."""
        self.session.execute(text(f"DROP TABLE {_name(day)}"))

    def delete_piece(self, day: date) -> int:
        """Delete some of a day's readings; return how many rows."""
        return int(self._of_day(_DELETE_PIECE, day, piece=PIECE).rowcount)

    def forget_published(self, before: datetime) -> int:
        """Delete some messages to devices that were published before this moment; return how many."""
        query = text(_PUBLISHED).bindparams(bindparam("before", before, type_=UtcDateTime), piece=PIECE)
        return int(self.session.execute(query).rowcount)  # type: ignore[attr-defined]

    def forget_refused(self, before: datetime) -> int:
        """Delete some refusals from before this moment, of rentals over or unknown; return how many."""
        query = text(_REFUSED).bindparams(bindparam("before", before, type_=UtcDateTime), piece=PIECE)
        return int(self.session.execute(query).rowcount)  # type: ignore[attr-defined]

    def _of_day(self, statement: str, day: date, **values: Any) -> Any:
        moments = {"begin": _begin(day), "end": _begin(day + timedelta(days=1))}
        moments |= {name: value for name, value in values.items() if isinstance(value, datetime)}
        others = {name: value for name, value in values.items() if name not in moments}
        typed = [bindparam(name, moment, type_=UtcDateTime) for name, moment in moments.items()]
        return self.session.execute(text(statement).bindparams(*typed, **others))


def _name(day: date) -> str:
    return f"reading_run_{day:%Y%m%d}"


def _begin(day: date) -> datetime:
    return datetime.combine(day, time(), tzinfo=UTC)
