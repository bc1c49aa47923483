"""Metering's only queries. None of them commits."""

import json
from collections.abc import Collection, Sequence
from datetime import datetime
from typing import Any, NamedTuple

from sqlalchemy import Table, bindparam, case, func, text, tuple_
from sqlalchemy import select as sql_select
from sqlalchemy.dialects import postgresql, sqlite
from sqlmodel import col, delete, select, update

from services.chassis.database import as_if_alone
from services.chassis.rows import insert_rows, insert_tuples
from services.chassis.tables import UtcDateTime
from services.metering.downlink_store import DownlinkStore
from services.metering.models import (
    AcceptedCeiling,
    ReadingRun,
    RefusalRow,
    Rental,
    WaitingReading,
)
from services.metering.run_store import Arrivals, Number, RunStore
from services.metering.runs import Run

_INSERTS: dict[str, Any] = {"sqlite": sqlite.insert, "postgresql": postgresql.insert}

_RENTAL: Table = Rental.metadata.tables["rental"]
_RUN: Table = ReadingRun.metadata.tables["reading_run"]
_REFUSAL: Table = RefusalRow.metadata.tables["refusal"]
_WAITING: Table = WaitingReading.metadata.tables["waiting_reading"]

_OLDEST, _NEWEST = _RENTAL.c.oldest_at, _RENTAL.c.newest_at
_IN_OLDEST, _IN_NEWEST = (bindparam(name, type_=UtcDateTime) for name in ("oldest", "newest"))
# What waited beyond a hole arrived before what filled it.
_REACHED = (
    update(_RENTAL)
    .where(_RENTAL.c.rental_id == bindparam("of_rental"))
    .values(
        next_seq=bindparam("reached"),
        oldest_at=case((_IN_OLDEST < _OLDEST, _IN_OLDEST), else_=_OLDEST),
        newest_at=case((_IN_NEWEST > _NEWEST, _IN_NEWEST), else_=_NEWEST),
    )
)
_FINISHED = (
    update(_RENTAL)
    .where(_RENTAL.c.rental_id.in_(bindparam("over", expanding=True)), _RENTAL.c.finished_at.is_(None))
    .values(finished_at=bindparam("at"))
)
# A list of a thousand parameters would cost more than all else about it.
_LOCKED = text("""
    SELECT rental_id, next_seq, oldest_at, newest_at FROM rental WHERE rental_id = ANY (CAST(:ids AS text[]))
    ORDER BY rental_id FOR UPDATE
""")
# The same for any number of rentals, which PostgreSQL takes in one go.
_REACHED_AT_ONCE = text("""
    UPDATE rental
    SET next_seq = n.reached,
        oldest_at = least(rental.oldest_at, n.oldest), newest_at = greatest(rental.newest_at, n.newest)
    FROM json_to_recordset(CAST(:rows AS json))
      AS n(of_rental text, reached bigint, oldest timestamptz, newest timestamptz)
    WHERE rental.rental_id = n.of_rental
""")

# Made once: ingest asks both in each transaction, mostly for nothing.
_FIRST_WAITING = (
    sql_select(_WAITING.c.rental_id, func.min(_WAITING.c.seq))
    .where(_WAITING.c.rental_id.in_(bindparam("rental_ids", expanding=True)))
    .group_by(_WAITING.c.rental_id)
)
_UNRESOLVED = sql_select(_REFUSAL.c.rental_id, _REFUSAL.c.id, _REFUSAL.c.code, _REFUSAL.c.hash).where(
    _REFUSAL.c.rental_id.in_(bindparam("rental_ids", expanding=True)), _REFUSAL.c.resolved_at.is_(None)
)
Row = dict[str, Any]


class Reached(NamedTuple):
    """How far a rental has come: its next number, and between when and when what is accepted arrived."""

    next_seq: int
    arrived: Arrivals


class Store(RunStore, DownlinkStore):
    """Every question and change of one transaction."""

    @property
    def _is_postgresql(self) -> bool:
        return self.session.get_bind().dialect.name == "postgresql"

    def add_rental(self, rental: Rental) -> None:
        """Add a rental."""
        self.session.add(rental)

    def lock_series(self, rental_ids: Collection[str]) -> dict[str, Reached]:
        """Return how far each of these rentals that is known has come.

        They are kept from other writers until this transaction ends.
        """
        if not rental_ids:
            return {}
        # One order for all, so that two writers never wait for each other.
        if self._is_postgresql:
            ids = f"{{{','.join(rental_ids)}}}"
            rows = self.session.connection().execute(_LOCKED, {"ids": ids})
        else:
            series = sql_select(_RENTAL.c.rental_id, _RENTAL.c.next_seq, _OLDEST, _NEWEST)
            rows = self.session.connection().execute(series.where(_RENTAL.c.rental_id.in_(rental_ids)))
        return {
            rental_id: Reached(next_seq, (oldest, newest)) for rental_id, next_seq, oldest, newest in rows
        }

    def lock_rentals(self, rental_ids: Collection[str]) -> dict[str, Rental]:
        """Return the known ones of these rentals, kept from other writers until this transaction ends."""
        query = (
            select(Rental)
            .where(col(Rental.rental_id).in_(rental_ids))
            # One order for all, so that two writers never wait for each other.
            .order_by(col(Rental.rental_id))
            .with_for_update()
        )
        return {rental.rental_id: rental for rental in self.session.exec(query)}

    def measured_rentals(self, rental_ids: Collection[str]) -> dict[str, Rental]:
        """Return the known ones of these rentals, but those over for so long that nothing of them is kept."""
        found = self.rentals(rental_ids).values()
        return {row.rental_id: row for row in found if row.kept_from < row.next_seq or not row.kept_from}

    def finish(self, rental_ids: Collection[str], *, now: datetime) -> None:
        """Note that rentals are over for good: they are paid, and nobody can dispute them any more."""
        self.session.connection().execute(_FINISHED, {"over": sorted(rental_ids), "at": now})

    def unfinished_rentals_of(self, device: str) -> Sequence[str]:
        """Return the rentals of a device that are not over for good."""
        query = select(Rental.rental_id).where(Rental.device == device, col(Rental.finished_at).is_(None))
        return self.session.exec(query).all()

    def newest_rental_of(self, device: str) -> str | None:
        """Return the rental that was agreed last for this device."""
        query = (
            select(Rental.rental_id)
            .where(Rental.device == device)
            .order_by(col(Rental.agreed_at).desc())
            .limit(1)
        )
        return self.session.exec(query).first()

    def add_runs(self, runs: Sequence[Run]) -> None:
        """Insert accepted readings, all at once, and note how far their rentals have come.

        The rentals must be locked (`lock_series`), and the runs of each follow each other from its next
        number on: nothing else keeps a number from being stored twice.
        """
        insert_tuples(self.session, _RUN, Run._fields, runs)
        reached: dict[str, Row] = {}
        for run in runs:
            arrived_at = run.received_at
            before = reached.get(run.rental_id)
            reached[run.rental_id] = {
                "of_rental": run.rental_id,
                "reached": run.last_seq + 1,
                "oldest": arrived_at if before is None else min(arrived_at, before["oldest"]),
                "newest": arrived_at if before is None else max(arrived_at, before["newest"]),
            }
        self._note_reached(list(reached.values()))

    def _note_reached(self, rows: Sequence[Row]) -> None:
        if rows and self._is_postgresql:
            written = json.dumps(rows, default=datetime.isoformat)
            self.session.connection().execute(_REACHED_AT_ONCE, {"rows": written})
        elif rows:
            self.session.connection().execute(_REACHED, rows)

    def waiting_hashes(self, numbers: Collection[Number]) -> dict[str, dict[int, str]]:
        """Return the hashes of those of these readings that wait beyond a hole, by number, by rental."""
        if not numbers:
            return {}
        number = tuple_(col(WaitingReading.rental_id), col(WaitingReading.seq))
        query = select(WaitingReading.rental_id, WaitingReading.seq, WaitingReading.hash)
        hashes: dict[str, dict[int, str]] = {}
        for rental_id, seq, found in self.session.exec(query.where(number.in_(numbers))):
            hashes.setdefault(rental_id, {})[seq] = found
        return hashes

    def add_waiting(self, rows: Sequence[Row]) -> None:
        """Insert readings that wait beyond a hole, all at once."""
        insert_rows(self.session, _WAITING, rows)

    def first_waiting(self, rental_ids: Collection[str]) -> dict[str, int]:
        """Return the lowest waiting number of each of these rentals that has one."""
        rows = self.session.connection().execute(_FIRST_WAITING, {"rental_ids": list(rental_ids)})
        return {row[0]: row[1] for row in rows}

    def waiting(self, rental_id: str, *, from_seq: int, limit: int) -> list[WaitingReading]:
        """Return up to `limit` waiting readings from this number on, ascending."""
        query = (
            select(WaitingReading)
            .where(WaitingReading.rental_id == rental_id, WaitingReading.seq >= from_seq)
            .order_by(col(WaitingReading.seq))
            .limit(limit)
        )
        return list(self.session.exec(query))

    def drop_waiting(self, rental_id: str, *, up_to: int) -> None:
        """Delete the waiting readings with a number up to this one: they are accepted, or refused."""
        reached = delete(WaitingReading).where(
            col(WaitingReading.rental_id) == rental_id, col(WaitingReading.seq) <= up_to
        )
        self.session.execute(reached)

    def current_ceiling(self, rental_id: str) -> AcceptedCeiling | None:
        """Return the ceiling that counts now."""
        query = select(AcceptedCeiling).where(AcceptedCeiling.rental_id == rental_id)
        return self.session.exec(query.order_by(col(AcceptedCeiling.number).desc()).limit(1)).first()

    def ceilings(self, rental_id: str) -> list[dict[str, Any]]:
        """Return every accepted ceiling, ascending, as it travelled."""
        query = select(AcceptedCeiling).where(AcceptedCeiling.rental_id == rental_id)
        return [row.signed for row in self.session.exec(query.order_by(col(AcceptedCeiling.number)))]

    def add_ceiling(self, ceiling: AcceptedCeiling) -> None:
        """Add a ceiling; from now on it counts.

        Raises Unavailable("database_busy") where another copy just took its number: who waited for the
        rental's lock may not see what was done under it.
        """
        with as_if_alone():
            self.session.add(ceiling)
            self.session.flush()

    def known_refusals(self, keys: Collection[str]) -> set[str]:
        """Return those of these refusals that are stored already."""
        if not keys:
            return set()
        return set(self.session.exec(select(RefusalRow.key).where(col(RefusalRow.key).in_(keys))))

    def count_refusals(self, rental_ids: Collection[str]) -> dict[str, int]:
        """Return how many refusals are stored for each of these rentals."""
        query = (
            select(RefusalRow.rental_id, func.count())
            .where(col(RefusalRow.rental_id).in_(rental_ids))
            .group_by(col(RefusalRow.rental_id))
        )
        return dict(self.session.exec(query).all())

    def add_refusals(self, rows: Sequence[Row]) -> None:
        """Insert refusals, all at once; one that another process has just stored is left as it is."""
        if rows:
            insert_new = _INSERTS[self.session.get_bind().dialect.name](RefusalRow)
            self.session.execute(insert_new.on_conflict_do_nothing(index_elements=["key"]), rows)

    def unresolved(self, rental_ids: Collection[str]) -> dict[str, list[tuple[int, str, str]]]:
        """Return what stands refused of these rentals: number, code and hash, by rental."""
        found: dict[str, list[tuple[int, str, str]]] = {}
        rows = self.session.connection().execute(_UNRESOLVED, {"rental_ids": list(rental_ids)})
        for rental_id, number, code, hashed in rows:
            found.setdefault(rental_id, []).append((number, code, hashed))
        return found

    def resolve_refusals(self, numbers: Collection[int], *, now: datetime) -> None:
        """Note that these refusals are settled since."""
        if numbers:
            settled = update(RefusalRow).where(col(RefusalRow.id).in_(numbers))
            self.session.execute(settled.values(resolved_at=now))

    def refusals(self, rental_id: str) -> list[RefusalRow]:
        """Return a rental's refusals, newest last."""
        query = select(RefusalRow).where(RefusalRow.rental_id == rental_id).order_by(col(RefusalRow.id))
        return list(self.session.exec(query))

    def page_of_refusals(
        self, *, device: str | None, code: str | None, unresolved_only: bool, before: int | None, limit: int
    ) -> list[RefusalRow]:
        """Return up to `limit` refusals, newest first, narrowed by whatever is given."""
        number = col(RefusalRow.id)
        query = select(RefusalRow).order_by(number.desc()).limit(limit)
        if device is not None:
            query = query.where(RefusalRow.device == device)
        if code is not None:
            query = query.where(RefusalRow.code == code)
        if unresolved_only:
            query = query.where(col(RefusalRow.resolved_at).is_(None))
        if before is not None:
            query = query.where(number < before)
        return list(self.session.exec(query))
