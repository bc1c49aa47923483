"""Room for readings to come, and an end to what is no longer kept."""

from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta

from services.chassis.database import Database
from services.chassis.forgetting import in_pieces
from services.chassis.logging import get_logger
from services.messages.errors import Conflict
from services.metering.models import Rental
from services.metering.upkeep_store import PIECE, UpkeepStore

DAYS_AHEAD = 7
# What was told or published is of no more use; these days are for whoever wants to see what happened.
TOLD_KEPT = timedelta(days=7)

_log = get_logger(__name__)

Pause = Callable[[], None]


def check_kept(rental: Rental, seq: int) -> None:
    """Raise Conflict where a rental's reading of this number was accepted, and is no longer kept."""
    if seq < rental.kept_from:
        detail = f"readings of rental {rental.rental_id} are kept from {rental.kept_from} on"
        raise Conflict("readings_dropped", detail, kept_from=str(rental.kept_from))


def make_partitions(database: Database, *, now: datetime) -> list[date]:
    """Make the partitions that are missing, of days to come and of readings that came without; return them.

    Where other processes do the same, one of them does it. SQLite needs none.
    """
    with database.snapshot() as session:
        store = UpkeepStore(session)
        if not store.is_partitioned:
            return []
        today = now.astimezone(UTC).date()
        wanted = {today + timedelta(days=number) for number in range(DAYS_AHEAD + 1)}
        missing = sorted(wanted.union(store.other_days()).difference(store.partitions()))
    return [day for day in missing if _make_partition(database, day)]


def _make_partition(database: Database, day: date) -> bool:
    with database.queue_work() as session:
        store = UpkeepStore(session)
        if not store.try_lock() or day in store.partitions():
            return False
        store.make_partition(day)
    _log.info("partition_made", day=day.isoformat())
    return True


def let_go(database: Database, *, now: datetime, keep: timedelta | None, pause: Pause) -> list[date]:
    """Delete the readings of every day whose rentals all were over `keep` ago; return the days.

    Their minutes and hours, roots and bills stay. Where `keep` is None, nothing goes.
    """
    if keep is None:
        return []
    with database.snapshot() as session:
        days = _days_before(UpkeepStore(session), (now - keep).astimezone(UTC).date())
    return [day for day in days if _let_go(database, day, before=now - keep, pause=pause)]


def _days_before(store: UpkeepStore, end: date) -> list[date]:
    if store.is_partitioned:
        return [day for day in store.partitions() if day < end]
    oldest = store.oldest_arrival()
    if oldest is None:
        return []
    first = oldest.astimezone(UTC).date()
    return [first + timedelta(days=number) for number in range((end - first).days)]


def _let_go(database: Database, day: date, *, before: datetime, pause: Pause) -> bool:
    with database.queue_work() as session:
        store = UpkeepStore(session)
        if not store.try_lock() or store.is_needed(day, before=before):
            return False
        store.let_go(day)
        if store.is_partitioned:
            store.drop_partition(day)
    if not store.is_partitioned and not in_pieces(
        database, lambda session, _: UpkeepStore(session).delete_piece(day), pause, piece=PIECE
    ):
        return False
    _log.info("readings_dropped", day=day.isoformat())
    return True


def forget(database: Database, *, now: datetime, refusals: timedelta, pause: Pause) -> None:
    """Delete refusals older than this, and what devices were told some days ago."""
    told = now - TOLD_KEPT
    in_pieces(database, lambda session, _: UpkeepStore(session).forget_published(told), pause, piece=PIECE)
    in_pieces(
        database, lambda session, _: UpkeepStore(session).forget_refused(now - refusals), pause, piece=PIECE
    )
