"""Databases of older versions, with what was in them, brought to the newest schema and back."""

from collections.abc import Iterator
from contextlib import ExitStack, closing
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from alembic import command
from sqlalchemy import text

from hireling.rental.typed_data import to_hex
from services.chassis.database import Database, open_database
from services.chassis.migrations import _DATABASE, _config
from services.chassis.rows import json_text
from tests import stack
from tests.builders import NOW, signed_agreement

SIGNED = signed_agreement()
RENTAL_ID, DEVICE = to_hex(SIGNED.rental_id), to_hex(SIGNED.offer.device)
UNTIL = NOW + timedelta(minutes=25)


@pytest.fixture(params=["sqlite", pytest.param("postgresql", marks=pytest.mark.stack)])
def empty(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Database]:
    """Return a database without any table."""
    with ExitStack() as cleanup:
        url = f"sqlite:///{tmp_path}/negotiation.db"
        if request.param == "postgresql":
            url = cleanup.enter_context(stack.fresh_database("negotiation"))
        yield cleanup.enter_context(closing(open_database(url)))


def move(database: Database, revision: str, *, up: bool = True) -> None:
    """Bring the database to a revision."""
    config = _config("services.negotiation")
    config.attributes[_DATABASE] = database
    (command.upgrade if up else command.downgrade)(config, revision)


def insert(database: Database, table: str, **row: Any) -> None:
    """Insert a row as an older version did."""
    names, values = ", ".join(row), ", ".join(f":{name}" for name in row)
    with database.unit_of_work() as session:
        session.execute(text(f"INSERT INTO {table} ({names}) VALUES ({values})"), row)  # noqa: S608 - our own


def rows(database: Database, table: str) -> list[dict[str, Any]]:
    """Return a table."""
    with database.snapshot() as session:
        return [dict(row) for row in session.execute(text(f"SELECT * FROM {table}")).mappings()]  # noqa: S608


def with_a_taken_device(database: Database) -> None:
    """Make a database of before slots, with an agreement that keeps its device."""
    move(database, "0005")
    insert(
        database, "quote", quote_id="quote-1", device=DEVICE, renter="0x", listing="0x", request="{}",
        document="{}", mandate="{}", terms="{}", status="agreed", asked_at=NOW, answer_by=NOW,
    )  # fmt: skip
    signed = json_text(SIGNED.model_dump(mode="json"))
    insert(database, "agreement", rental_id=RENTAL_ID, quote_id="quote-1", signed=signed, agreed_at=NOW)
    insert(database, "taken_device", device=DEVICE, rental_id=RENTAL_ID, until=UNTIL)


def test_a_taken_device_keeps_its_time_as_a_slot(empty: Database) -> None:
    with_a_taken_device(empty)
    move(empty, "head")
    [slot] = rows(empty, "slot")
    assert (slot["rental_id"], slot["device"]) == (RENTAL_ID, DEVICE)
    assert slot["renter"] == to_hex(SIGNED.agreement.rules.renter)
    assert (slot["starts_at"], slot["ends_at"]) == (int(NOW.timestamp()), int(UNTIL.timestamp()))
    assert bool(slot["alone"])
    assert bool(slot["funded"])


def test_a_slot_keeps_its_device_on_the_way_back(empty: Database) -> None:
    with_a_taken_device(empty)
    move(empty, "head")
    move(empty, "0005", up=False)
    [taken] = rows(empty, "taken_device")
    assert (taken["device"], taken["rental_id"]) == (DEVICE, RENTAL_ID)
    assert str(taken["until"]).startswith(f"{UNTIL:%Y-%m-%d %H:%M:%S}")
