"""Signs of life beside other changes of a device."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from services.chassis.database import Database, open_database
from services.listing import store
from services.listing.models import Device, ListingTable
from tests.builders import NOW

SECOND = int(NOW.timestamp())


@pytest.fixture
def database(tmp_path: Path) -> Iterator[Database]:
    """A listing's database with one device."""
    opened = open_database(f"sqlite:///{tmp_path}/listing.db")
    ListingTable.metadata.create_all(opened.engine)
    with opened.unit_of_work() as session:
        session.add(
            Device(
                device="0x01",
                owner="0x02",
                owner_agent="0x03",
                meter="0x04",
                mandate={},
                possession_valid_until=0,
                admitted_at=NOW,
            )
        )
    yield opened
    opened.close()


def seen(database: Database) -> Device:
    """Return the device as it is now."""
    with database.looks() as session:
        return store.found(store.find_device(session, "0x01"), "0x01")


def note(database: Database, row: Device, *, at: int) -> bool:
    """Note a sign of life of a device as it was read before."""
    with database.stroke() as connection:
        return store.note_heartbeat(connection, row, at=at, now=NOW)


def test_one_is_noted_where_nothing_changed_since_it_was_checked(database: Database) -> None:
    assert note(database, seen(database), at=SECOND)
    assert (seen(database).heartbeat_at, seen(database).last_seen) == (SECOND, NOW)


def test_one_by_a_key_that_was_revoked_meanwhile_is_not(database: Database) -> None:
    checked = seen(database)
    with database.unit_of_work() as session:
        store.found(store.lock_device(session, "0x01"), "0x01").meter = "0x"
    assert not note(database, checked, at=SECOND)
    assert seen(database).last_seen is None


def test_one_that_a_later_one_overtook_is_not(database: Database) -> None:
    checked = seen(database)
    assert note(database, checked, at=SECOND + 1)
    assert not note(database, checked, at=SECOND)
    assert seen(database).heartbeat_at == SECOND + 1
