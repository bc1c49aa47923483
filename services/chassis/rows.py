"""Many rows at once: by one statement where the database is PostgreSQL, by a prepared one on SQLite."""

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from sqlalchemy import Insert, Table, Update, bindparam, func, insert, update
from sqlalchemy.dialects.postgresql import ARRAY
from sqlalchemy.exc import DBAPIError
from sqlmodel import Session

# Fewer rows cost less by themselves.
WORTH_A_COPY = 4


@dataclass(frozen=True, slots=True)
class WrittenJson:
    """JSON that is written already: the content of a JSON column that need not be built and dumped again."""

    text: str


def json_text(value: object) -> str:
    """Return the text of a JSON column's value."""
    return value.text if isinstance(value, WrittenJson) else json.dumps(value)


def insert_rows(session: Session, table: Table, rows: Sequence[Mapping[str, Any]]) -> None:
    """Insert rows that all have the same columns; in JSON columns, WrittenJson.

    What the rows do not name gets its default.
    """
    if not rows:
        return
    if len(rows) < WORTH_A_COPY or session.get_bind().dialect.name != "postgresql":
        session.connection().execute(_insert_of(table), list(rows))
        return
    names = tuple(rows[0])
    _copy(session, table, names, ([_plain(row[name]) for name in names] for row in rows))


def update_rows(session: Session, table: Table, rows: Sequence[Mapping[str, Any]]) -> None:
    """Change rows that exist, each named by its primary key, a single column; all name the same columns.

    By one statement where the database is PostgreSQL; no JSON columns.
    """
    if not rows:
        return
    (key,) = table.primary_key.columns
    names = tuple(rows[0])
    if session.get_bind().dialect.name != "postgresql":
        found = table.c[key.name] == bindparam(f"to_{key.name}")
        values: dict[str, Any] = {name: bindparam(f"to_{name}") for name in names if name != key.name}
        changes = [{f"to_{name}": row[name] for name in names} for row in rows]
        session.connection().execute(update(table).where(found).values(values), changes)
        return
    session.connection().execute(
        _update_of(table, names), {f"all_{name}": [row[name] for row in rows] for name in names}
    )


@lru_cache(maxsize=64)
def _insert_of(table: Table) -> Insert:
    """Return the statement that inserts rows, and asks for none of the keys that it gives."""
    return insert(table).inline()


@lru_cache(maxsize=64)
def _update_of(table: Table, names: tuple[str, ...]) -> Update:
    """Return the statement that sets these columns of many rows, from one array a column."""
    (key,) = table.primary_key.columns
    arrays = [bindparam(f"all_{name}", type_=ARRAY(table.c[name].type)) for name in names]
    given = func.unnest(*arrays).table_valued(*names, name="given").render_derived()
    values = {name: given.c[name] for name in names if name != key.name}
    return update(table).where(table.c[key.name] == given.c[key.name]).values(values)


def insert_tuples(
    session: Session, table: Table, names: Sequence[str], rows: Sequence[tuple[Any, ...]]
) -> None:
    """Insert rows of these columns, in this order; no JSON columns. The cheapest way for very many."""
    if not rows:
        return
    if session.get_bind().dialect.name != "postgresql":
        session.execute(insert(table), [dict(zip(names, row, strict=True)) for row in rows])
        return
    dialect = session.get_bind().dialect
    _copy(session, table, names, rows, types=[table.c[name].type.compile(dialect).lower() for name in names])


def _copy(
    session: Session,
    table: Table,
    names: Sequence[str],
    rows: Iterable[Sequence[Any]],
    *,
    types: Sequence[str] = (),
) -> None:
    """Copy rows; as binary where the columns' types are named, which takes a third of the time."""
    columns = ", ".join(f'"{name}"' for name in names)
    session.flush()
    statement = f'COPY "{table.name}" ({columns}) FROM STDIN{" (FORMAT binary)" if types else ""}'
    with (
        _named_by_sqlalchemy(session, statement) as connection,
        connection.cursor() as cursor,
        cursor.copy(statement) as copy,
    ):
        if types:
            copy.set_types(types)
        for row in rows:
            copy.write_row(row)


@contextmanager
def _named_by_sqlalchemy(session: Session, statement: str) -> Iterator[Any]:
    """Open the driver's connection; its errors are raised as SQLAlchemy's, which everybody here knows."""
    connection = session.connection()
    dialect = connection.dialect
    driver = connection.connection.driver_connection
    try:
        yield driver
    except dialect.loaded_dbapi.Error as error:
        broken = dialect.is_disconnect(error, connection.connection, None)
        if broken:
            connection.invalidate(error)
        raise DBAPIError.instance(
            statement, None, error, dialect.loaded_dbapi.Error, connection_invalidated=broken, dialect=dialect
        ) from error


def _plain(value: Any) -> Any:
    return value.text if isinstance(value, WrittenJson) else value
