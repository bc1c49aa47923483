"""What a service holds of a person, table by table: read out on demand, and erased where nothing keeps it.

Each service lists its own tables in ``people.py`` and says of each why it stays, or that it goes.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import ColumnElement, Table, and_, delete, func, not_, or_, select, true
from sqlmodel import Session, SQLModel

from services.chassis.tables import OUTBOX
from services.messages.people import ErasedRows, HeldRows, Person

Which = Callable[[Person], ColumnElement[bool]]
TOLD_KEPT = timedelta(days=7)
EVENTS_STAY = "not older than a week: after a restore, what was said in the last day is said again"


@dataclass(frozen=True)
class Held:
    """A table with rows of persons: which are a person's, and which of these may be erased, if any.

    ``unread`` are columns that are not read out, because something else hands them out whole.
    """

    table: Table
    of: Which
    kept_because: str | None
    erasable: Callable[[datetime], ColumnElement[bool]] | None = None
    unread: frozenset[str] = field(default_factory=frozenset)


def goes(table: type[SQLModel], of: Which) -> Held:
    """Return that a person's rows of this table are erased."""
    return Held(_rows(table), of, kept_because=None, erasable=lambda _: true())


def stays(table: type[SQLModel], of: Which, because: str, *, unread: Sequence[str] = ()) -> Held:
    """Return that a person's rows of this table are kept, and why."""
    return Held(_rows(table), of, kept_because=because, unread=frozenset(unread))


def goes_where(
    table: type[SQLModel], of: Which, when: Callable[[], ColumnElement[bool]], *, else_kept: str
) -> Held:
    """Return that those of a person's rows are erased for which this holds, and why the others stay."""
    return Held(_rows(table), of, kept_because=else_kept, erasable=lambda _: when())


def events_of(names: Callable[[Person], Sequence[str]]) -> Held:
    """Return that what was said of these names goes a week after it left."""

    def of(person: Person) -> ColumnElement[bool]:
        parts = [OUTBOX.c.key.contains(f":{name}", autoescape=True) for name in names(person)]
        return or_(*parts) if parts else not_(true())

    def old(now: datetime) -> ColumnElement[bool]:
        return and_(OUTBOX.c.sent_at.is_not(None), OUTBOX.c.sent_at < now - TOLD_KEPT)

    return Held(OUTBOX, of, kept_because=EVENTS_STAY, erasable=old)


def read_out(session: Session, tables: Sequence[Held], person: Person) -> list[HeldRows]:
    """Return everything that these tables hold of a person."""
    found = []
    for held in tables:
        columns = [column for column in held.table.columns if column.name not in held.unread]
        rows = session.execute(select(*columns).where(held.of(person))).mappings()
        plain = tuple(_plain(row) for row in rows)
        found.append(HeldRows(table=held.table.name, kept_because=held.kept_because, rows=plain))
    return found


def erase(session: Session, tables: Sequence[Held], person: Person, *, now: datetime) -> list[ErasedRows]:
    """Delete what may go of a person, in this order, and say what stays; again changes nothing more."""
    done = []
    for held in tables:
        theirs, erased = held.of(person), 0
        if held.erasable is not None:
            gone = session.execute(delete(held.table).where(theirs, held.erasable(now)))
            erased = int(gone.rowcount)  # type: ignore[attr-defined]
        kept = session.execute(select(func.count()).select_from(held.table).where(theirs)).scalar_one()
        done.append(
            ErasedRows(
                table=held.table.name,
                erased=erased,
                kept=kept,
                kept_because=held.kept_because if kept else None,
            )
        )
    return done


def _rows(table: type[SQLModel]) -> Table:
    found: Table = table.__table__  # type: ignore[attr-defined]
    return found


def _plain(row: Mapping[Any, Any]) -> dict[str, Any]:
    return {str(name): _json(value) for name, value in row.items()}


def _json(value: Any) -> Any:
    if isinstance(value, datetime):
        return value.isoformat()
    return f"0x{value.hex()}" if isinstance(value, bytes) else value
