"""Readings are stored as runs, a row each; PostgreSQL keeps each day's in a partition of their own."""

import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from itertools import groupby
from typing import Any

import sqlalchemy as sa
from alembic import op

from services.chassis.tables import UtcDateTime

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None

RUN = 100
PAGE = 5_000
DAY_MS = 24 * 3_600_000

READING = sa.Table(
    "reading",
    sa.MetaData(),
    sa.Column("rental_id", sa.String, primary_key=True),
    sa.Column("seq", sa.BigInteger, primary_key=True, autoincrement=False),
    sa.Column("hash", sa.String, nullable=False),
    sa.Column("signed", sa.JSON, nullable=False),
    sa.Column("received_at", UtcDateTime, nullable=False),
)
READING_RUN = sa.Table(
    "reading_run",
    sa.MetaData(),
    sa.Column("rental_id", sa.String, primary_key=True),
    sa.Column("first_seq", sa.BigInteger, primary_key=True, autoincrement=False),
    sa.Column("received_at", UtcDateTime, primary_key=True),
    sa.Column("last_seq", sa.BigInteger, nullable=False),
    sa.Column("hashes", sa.LargeBinary, nullable=False),
    sa.Column("minutes", sa.Text, nullable=False),
    sa.Column("document", sa.Text, nullable=False),
    sa.CheckConstraint("last_seq >= first_seq AND last_seq < first_seq + 100", name="run_length"),
    sa.CheckConstraint("length(hashes) = 32 * (last_seq - first_seq + 1)", name="run_hashes"),
    postgresql_partition_by="RANGE (received_at)",
)
RENTAL = sa.table(
    "rental",
    sa.column("rental_id", sa.String),
    sa.column("start_at", sa.BigInteger),
    sa.column("agreed_at", UtcDateTime),
    sa.column("oldest_at", UtcDateTime),
    sa.column("newest_at", UtcDateTime),
)


def upgrade() -> None:
    """Create the table of runs, turn every reading over, and note when those of each rental came."""
    READING_RUN.create(op.get_bind())
    if _is_postgresql():
        _partition()
    old = READING
    _move(_rows(old, old.c.rental_id, old.c.seq), READING_RUN, _runs_of)
    _note_arrivals()
    op.drop_table("reading")


def downgrade() -> None:
    """Store every reading by itself again."""
    READING.create(op.get_bind())
    run = READING_RUN
    _move(_rows(run, run.c.rental_id, run.c.first_seq), READING, _readings_of)
    with op.batch_alter_table("rental") as rental:
        rental.drop_column("oldest_at")
        rental.drop_column("newest_at")
    op.drop_table("reading_run")


def _note_arrivals() -> None:
    with op.batch_alter_table("rental") as rental:
        rental.add_column(sa.Column("oldest_at", UtcDateTime, nullable=True))
        rental.add_column(sa.Column("newest_at", UtcDateTime, nullable=True))
    run = READING_RUN.c

    def arrival(pick: Any) -> Any:
        found = sa.select(pick(run.received_at)).where(run.rental_id == RENTAL.c.rental_id)
        return sa.func.coalesce(found.scalar_subquery(), RENTAL.c.agreed_at)

    arrivals = {"oldest_at": arrival(sa.func.min), "newest_at": arrival(sa.func.max)}
    op.execute(sa.update(RENTAL).values(arrivals))
    with op.batch_alter_table("rental") as rental:
        rental.alter_column("oldest_at", nullable=False)
        rental.alter_column("newest_at", nullable=False)


def _is_postgresql() -> bool:
    return op.get_bind().dialect.name == "postgresql"


def _partition() -> None:
    """Keep apart the days that there are readings of; whatever has no partition is taken by the default."""
    op.execute("CREATE TABLE reading_run_other PARTITION OF reading_run DEFAULT")
    # Hashes cannot be compressed; of documents the faster method leaves a little more than the smaller one.
    op.execute("ALTER TABLE reading_run ALTER COLUMN hashes SET STORAGE EXTERNAL")
    op.execute("ALTER TABLE reading_run_other ALTER COLUMN hashes SET STORAGE EXTERNAL")
    lz4 = "SELECT 'lz4' = ANY (enumvals) FROM pg_settings WHERE name = 'default_toast_compression'"
    if op.get_bind().execute(sa.text(lz4)).scalar():
        op.execute("ALTER TABLE reading_run ALTER COLUMN document SET COMPRESSION lz4")
        op.execute("ALTER TABLE reading_run_other ALTER COLUMN document SET COMPRESSION lz4")
    days = sa.text("SELECT DISTINCT (received_at AT TIME ZONE 'UTC')::date FROM reading ORDER BY 1")
    for day in op.get_bind().execute(days).scalars().all():
        begin = datetime(day.year, day.month, day.day, tzinfo=UTC)
        end = begin + timedelta(days=1)
        op.execute(
            f"CREATE TABLE reading_run_{day:%Y%m%d} PARTITION OF reading_run"
            f" FOR VALUES FROM ('{begin.isoformat()}') TO ('{end.isoformat()}')"
        )


def _rows(table: sa.Table, rental_id: sa.Column[str], number: sa.Column[int]) -> Iterator[Any]:
    """Yield all rows by rental and number, a page in memory at a time."""
    query = sa.select(table).order_by(rental_id, number).limit(PAGE)
    rows = op.get_bind().execute(query).all()
    while rows:
        yield from rows
        last = (getattr(rows[-1], rental_id.name), getattr(rows[-1], number.name))
        beyond = sa.tuple_(rental_id, number) > last
        rows = op.get_bind().execute(query.where(beyond)).all()


def _move(rows: Iterator[Any], target: sa.Table, turned_over: Any) -> None:
    page: list[dict[str, Any]] = []
    for row in turned_over(rows):
        page.append(row)
        if len(page) >= PAGE // 10:
            op.get_bind().execute(target.insert(), page)
            page.clear()
    if page:
        op.get_bind().execute(target.insert(), page)


def _runs_of(rows: Iterator[Any]) -> Iterator[dict[str, Any]]:
    """Yield runs of readings of one rental and day, and under one root where they are under one."""
    starts = dict(op.get_bind().execute(sa.select(RENTAL.c.rental_id, RENTAL.c.start_at)).all())
    for rental_id, of_rental in groupby(rows, key=lambda row: row.rental_id):
        spans = sa.text("SELECT first_seq FROM day_span WHERE rental_id = :rental_id")
        begins = set(op.get_bind().execute(spans, {"rental_id": rental_id}).scalars())
        run: list[Any] = []
        for row in of_rental:
            if run and (len(run) == RUN or row.seq in begins or _day(row) != _day(run[0])):
                yield _run(run, start_at=starts[rental_id])
                run = []
            run.append(row)
        yield _run(run, start_at=starts[rental_id])


def _day(row: Any) -> Any:
    return row.received_at.date()


def _run(rows: list[Any], *, start_at: int) -> dict[str, Any]:
    received_at = max(row.received_at for row in rows)
    return {
        "rental_id": rows[0].rental_id,
        "first_seq": rows[0].seq,
        "received_at": received_at,
        "last_seq": rows[-1].seq,
        "hashes": b"".join(bytes.fromhex(row.hash[2:]) for row in rows),
        "minutes": _minutes([row.signed["reading"] for row in rows], received_at, start_at),
        "document": json.dumps({"readings": [row.signed for row in rows]}, separators=(",", ":")),
    }


def _minutes(readings: list[dict[str, Any]], received_at: datetime, start_at: int) -> str:
    # As services.metering.runs.minutes_of had it when this revision was made.
    arrived_ms, earliest_ms = int(received_at.timestamp() * 1_000), start_at * 1_000 - DAY_MS
    stretches: list[list[Any]] = []
    for reading in readings:
        sample = reading["sample"]
        wall_ms = int(sample["wall_ms"])
        believed = sample["clock"] == "1" and wall_ms >= earliest_ms
        minute = (min(wall_ms, arrived_ms) if believed else arrived_ms) // 60_000 * 60
        seq, state = int(reading["seq"]), [reading["amount_due"], sample["counters"]]
        if stretches and stretches[-1][0] == minute:
            stretches[-1][2], stretches[-1][5:] = seq, state
        else:
            stretches.append([minute, seq, seq, *state, *state])
    return json.dumps(stretches, separators=(",", ":"))


def _readings_of(rows: Iterator[Any]) -> Iterator[dict[str, Any]]:
    for row in rows:
        for place, signed in enumerate(json.loads(row.document)["readings"]):
            yield {
                "rental_id": row.rental_id,
                "seq": row.first_seq + place,
                "hash": "0x" + row.hashes[place * 32 : place * 32 + 32].hex(),
                "signed": signed,
                "received_at": row.received_at,
            }
