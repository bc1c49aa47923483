"""services.chassis.outbox and the inbox: an event is one row with its fact, and is handled once."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta, timezone
from typing import ClassVar

import pytest
from sqlmodel import Session

from services.chassis.clock import Clock
from services.chassis.database import Database, open_database
from services.chassis.inbox import on_event
from services.chassis.outbox import add_event, count_unsent, mark_sent, unsent_events
from services.chassis.tables import CHASSIS_METADATA, OUTBOX
from services.messages.errors import Conflict
from services.messages.event import Event
from tests.fakes.clock import FixedClock

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)


class DoorOpened(Event):
    """A door was opened."""

    source: ClassVar[str] = "porter"
    type: ClassVar[str] = "door_opened"

    door: str
    time: int

    def key(self) -> str:
        """Return door and time."""
        return f"{self.door}:{self.time}"


class DoorShut(DoorOpened):
    """A door was shut."""

    type: ClassVar[str] = "door_shut"


@pytest.fixture
def database() -> Iterator[Database]:
    """A database in memory with both tables."""
    opened = open_database("sqlite://")
    with opened.unit_of_work() as session:
        CHASSIS_METADATA.create_all(session.connection())
    yield opened
    opened.close()


def add(database: Database, *events: Event) -> None:
    """Add events, each in its transaction."""
    for event in events:
        with database.unit_of_work() as session:
            add_event(session, event, now=NOON)


class TestAddEvent:
    """An event entering the outbox."""

    def test_keeps_order_payload_and_moment(self, database: Database) -> None:
        add(database, DoorOpened(door="b", time=1), DoorShut(door="a", time=2))
        with database.snapshot() as session:
            rows = unsent_events(session, limit=10)
        assert [(row.type, row.source, row.created_at) for row in rows] == [
            ("door_opened", "porter", NOON),
            ("door_shut", "porter", NOON),
        ]
        assert rows[0].payload == {"door": "b", "time": 1}

    def test_refuses_the_same_key_twice_and_keeps_the_rest_of_the_transaction(
        self, database: Database
    ) -> None:
        with database.unit_of_work() as session:
            add_event(session, DoorOpened(door="a", time=1), now=NOON)
            with pytest.raises(Conflict, match="published before"):
                add_event(session, DoorOpened(door="a", time=1), now=NOON)
            add_event(session, DoorShut(door="a", time=1), now=NOON)
        with database.snapshot() as session:
            assert count_unsent(session) == 2

    def test_tells_listeners_after_the_commit_and_only_of_events(self, database: Database) -> None:
        told = []
        database.on_event_added(lambda: told.append("told"))
        with database.unit_of_work():
            pass
        assert told == []
        add(database, DoorOpened(door="a", time=1))
        assert told == ["told"]


class TestUnsentEvents:
    """What the relay takes."""

    def test_leaves_out_what_is_sent_under_way_or_unheard(self, database: Database) -> None:
        add(database, *(DoorOpened(door="a", time=time) for time in range(5)), DoorShut(door="a", time=9))
        with database.unit_of_work() as session:
            mark_sent(session, [1], now=NOON)
        with database.snapshot() as session:
            rows = unsent_events(session, limit=2, without_ids={2, 3}, without_types={"door_shut"})
            assert [row.id for row in rows] == [4, 5]
            assert [row.type for row in unsent_events(session, limit=9, without_types={"door_opened"})] == [
                "door_shut"
            ]

    def test_never_uses_a_number_again(self, database: Database) -> None:
        add(database, DoorOpened(door="a", time=1))
        with database.unit_of_work() as session:
            session.execute(OUTBOX.delete())
        add(database, DoorOpened(door="a", time=2))
        with database.snapshot() as session:
            assert [row.id for row in unsent_events(session, limit=9)] == [2]


@dataclass
class Porter:
    """A service that hears doors."""

    database: Database
    clock: Clock = field(default_factory=FixedClock)
    heard: list[DoorOpened] = field(default_factory=list)

    @on_event(DoorOpened)
    def on_door_opened(self, session: Session, event: DoorOpened) -> None:
        """Note the event; refuse door x."""
        add_event(session, DoorShut(door=event.door, time=event.time), now=self.clock.now())
        if event.door == "x":
            raise ZeroDivisionError("door x")
        self.heard.append(event)


class TestOnEvent:
    """A handler."""

    def test_ignores_a_redelivered_event(self, database: Database) -> None:
        porter = Porter(database)
        for _ in range(3):
            porter.on_door_opened(DoorOpened(door="a", time=1))  # type: ignore[call-arg,arg-type]
        assert porter.heard == [DoorOpened(door="a", time=1)]

    def test_handles_an_event_again_that_failed(self, database: Database) -> None:
        porter = Porter(database)
        for _ in range(2):
            with pytest.raises(ZeroDivisionError):
                porter.on_door_opened(DoorOpened(door="x", time=1))  # type: ignore[call-arg,arg-type]
        with database.snapshot() as session:
            assert count_unsent(session) == 0, "the failed handler's event left with its transaction"

    def test_can_be_called_with_a_session_of_the_tests_own(self, database: Database) -> None:
        porter = Porter(database)
        with database.unit_of_work() as session:
            Porter.on_door_opened.__wrapped__(porter, session, DoorOpened(door="a", time=1))  # type: ignore[attr-defined]
            assert count_unsent(session) == 1


class TestUtcDateTime:
    """A moment in a table."""

    def test_refuses_a_naive_moment(self, database: Database) -> None:
        with pytest.raises(Exception, match="without a time zone"), database.unit_of_work() as session:
            add_event(session, DoorOpened(door="a", time=1), now=datetime(2026, 3, 1, 12))  # noqa: DTZ001

    def test_comes_back_in_utc(self, database: Database) -> None:
        with database.unit_of_work() as session:
            moment = NOON.astimezone(timezone(timedelta(hours=5)))
            add_event(session, DoorOpened(door="a", time=1), now=moment)
        with database.snapshot() as session:
            (row,) = unsent_events(session, limit=1)
        assert row.created_at == NOON
        assert row.created_at.utcoffset() == timedelta(0)
