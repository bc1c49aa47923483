"""Days of readings in a real database: each closed once, in order, and never changed."""

from collections.abc import Callable, Sequence
from datetime import datetime, timedelta
from typing import Any

import pytest
from sqlmodel import col, update

from hireling.rental.anchoring import (
    READINGS,
    Announcement,
    ReadingProof,
    batch_of,
    check_proof,
    day_of,
    end_of,
)
from hireling.rental.errors import AnchorInvalid
from hireling.rental.reading import Reading, SignedReading
from hireling.rental.typed_data import from_hex
from services.chassis.database import Database, open_database
from services.messages.errors import Conflict, Invalid, NotFound
from services.messages.events.settlement import RootAnnounced
from services.metering.closing import close_days
from services.metering.day_store import DayStore
from services.metering.models import ReadingRun
from services.metering.proving import days_of, keep_announcement, proof_of
from services.metering.trees import Trees
from tests.builders import NOW, a_key, a_listing, a_reading_chain, an_offer, signed_agreement
from tests.integration.metering.books import Books, Clerk

GRACE = timedelta(minutes=1)
DAY = day_of(NOW)
EVENING = end_of(DAY) - timedelta(seconds=1)
MORNING = end_of(DAY) + timedelta(hours=8)
PLACE = Announcement(chain_id=31337, contract=b"\x0a" * 20, publisher=b"\x0b" * 20)
HONEST = a_reading_chain(6)
SECOND_METER = a_key("second meter")
NEIGHBOUR = signed_agreement(offer=an_offer(listing=a_listing(meter_key=SECOND_METER), quote_id="quote-2"))


def arrive(clerk: Clerk, readings: Sequence[SignedReading], *, at: datetime) -> None:
    """Have readings arrive at this moment."""
    clerk.record([clerk.books.message(reading, at=at) for reading in readings])


def close(books: Books, *, day: int = DAY, pause: Callable[[], Any] = lambda: None) -> list[int]:
    """Close what is due right after a day's grace."""
    return close_days(books.database, now=end_of(day) + GRACE, grace=GRACE, pause=pause)


def proof(books: Books, seq: int) -> ReadingProof:
    """Return the proof of a reading, as the marketplace answers it while it is pending."""
    with books.database.snapshot() as session:
        found = proof_of(DayStore(session), books.rental_id, seq, grace=GRACE)
    return ReadingProof.model_validate({**found, "announcement": found["announcement"] or PLACE})


def proof_from(books: Books, trees: Trees) -> ReadingProof:
    """Return the proof of reading 1 from these trees."""
    with books.database.snapshot() as session:
        found = proof_of(DayStore(session), books.rental_id, 1, grace=GRACE, trees=trees)
    return ReadingProof.model_validate({**found, "announcement": PLACE})


def reading(books: Books, seq: int) -> Reading:
    """Return an accepted reading."""
    return SignedReading.model_validate(books.accepted()[seq]).reading


def days(books: Books, *, cursor: str | None = None, limit: int = 50) -> dict[str, Any]:
    """Return a page of the device's days."""
    with books.database.snapshot() as session:
        return days_of(DayStore(session), books.device, cursor, limit)


def announced(root: str, *, day: int = DAY, block: int, after: int = 0) -> RootAnnounced:
    """Return what settlement says of a root, so many seconds after the others."""
    return RootAnnounced(
        batch=batch_of(READINGS, day),
        root=from_hex(root),
        **dict(PLACE)
        | {
            "transaction": block.to_bytes(32),
            "block": block,
            "seen_at": MORNING + timedelta(seconds=after),
        },
    )


@pytest.fixture
def other_process(books: Books, database_url: str) -> Any:
    """Return the same database as another process has it open."""
    other = open_database(database_url)
    yield other
    other.close()


class TestCloseDays:
    def test_waits_for_midnight_and_the_grace(self, clerk: Clerk, books: Books) -> None:
        arrive(clerk, HONEST, at=EVENING)
        early = end_of(DAY) + GRACE - timedelta(microseconds=1)
        assert close_days(books.database, now=early, grace=GRACE, pause=lambda: None) == []
        assert close(books) == [DAY]
        assert close(books) == []

    def test_tells_one_root_over_all_devices(self, clerk: Clerk, books: Books) -> None:
        neighbour = Books(books.database, NEIGHBOUR)
        neighbour.agree()
        theirs = a_reading_chain(3, signed=NEIGHBOUR, meter_key=SECOND_METER)
        arrive(clerk, HONEST, at=EVENING)
        arrive(Clerk(neighbour), theirs, at=EVENING)
        close(books)
        [event] = books.events("day_closed")
        assert (event["day"], event["devices"], event["readings"]) == (DAY, 2, 9)
        for each, count in ((books, 6), (neighbour, 3)):
            for seq in range(count):
                found = proof(each, seq)
                check_proof(found, reading(each, seq))
                assert f"0x{found.day_root.hex()}" == event["root"]
                assert found.device_readings == count

    def test_puts_what_arrives_after_midnight_into_the_next_day(self, clerk: Clerk, books: Books) -> None:
        arrive(clerk, HONEST[:4], at=EVENING)
        arrive(clerk, HONEST[4:], at=MORNING)
        close(books)
        before = proof(books, 3)
        with pytest.raises(Conflict):
            proof(books, 4)
        close(books, day=DAY + 1)
        assert proof(books, 3) == before
        assert [proof(books, seq).day for seq in range(6)] == [DAY] * 4 + [DAY + 1] * 2
        check_proof(proof(books, 5), reading(books, 5))

    @pytest.mark.parametrize("is_closed_meanwhile", [True, False])
    def test_counts_what_waited_beyond_a_hole_when_the_hole_filled(
        self, clerk: Clerk, books: Books, is_closed_meanwhile: bool
    ) -> None:
        arrive(clerk, [HONEST[0], *HONEST[2:]], at=EVENING)
        if is_closed_meanwhile:
            close(books)
        arrive(clerk, HONEST[1:2], at=MORNING)
        close(books, day=DAY + 1)
        assert [proof(books, seq).day for seq in range(6)] == [DAY] + [DAY + 1] * 5

    def test_leaves_no_reading_out_that_was_written_after_its_day_was_closed(
        self, clerk: Clerk, books: Books
    ) -> None:
        arrive(clerk, HONEST[:3], at=EVENING)
        close(books)
        arrive(clerk, HONEST[3:], at=EVENING)
        close(books, day=DAY + 1)
        assert [proof(books, seq).day for seq in range(6)] == [DAY] * 3 + [DAY + 1] * 3

    def test_catches_up_day_by_day_and_tells_of_no_empty_one(self, clerk: Clerk, books: Books) -> None:
        arrive(clerk, HONEST[:2], at=EVENING)
        arrive(clerk, HONEST[2:4], at=MORNING + timedelta(days=2))
        arrive(clerk, HONEST[4:], at=MORNING + timedelta(days=3))
        assert close(books, day=DAY + 4) == [DAY + number for number in range(5)]
        assert [event["day"] for event in books.events("day_closed")] == [DAY, DAY + 3, DAY + 4]

    def test_closes_a_day_once_where_two_processes_count_it(
        self, clerk: Clerk, books: Books, other_process: Database
    ) -> None:
        arrive(clerk, HONEST, at=EVENING)
        late = Clerk(Books(other_process))
        by_other: list[int] = []

        def overtake() -> None:
            if not by_other:
                by_other.extend(close(late.books))

        assert close(books, pause=overtake) == []
        assert by_other == [DAY]
        assert len(books.events("day_closed")) == 1
        check_proof(proof(books, 0), reading(books, 0))

    def test_has_nothing_to_close_before_anything_was_agreed(self, books: Books) -> None:
        assert close(books, day=DAY - 1) == []


class TestProofs:
    def test_say_when_an_open_day_will_be_closed(self, clerk: Clerk, books: Books) -> None:
        arrive(clerk, HONEST[:1], at=EVENING)
        with pytest.raises(Conflict, match="day_not_closed") as refused:
            proof(books, 0)
        assert refused.value.fields["closes_at"] == (end_of(DAY) + GRACE).isoformat()
        close(books, day=DAY + 1)
        arrive(clerk, HONEST[1:2], at=EVENING)
        with pytest.raises(Conflict) as refused:
            proof(books, 1)
        assert refused.value.fields["closes_at"] == (end_of(DAY + 2) + GRACE).isoformat()

    def test_are_made_from_a_tree_that_was_built_before(self, clerk: Clerk, books: Books) -> None:
        arrive(clerk, HONEST[:3], at=EVENING)
        arrive(clerk, HONEST[3:], at=EVENING)
        close(books)
        first = proof(books, 0)
        with books.database.unit_of_work() as session:
            forged = update(ReadingRun).where(col(ReadingRun.first_seq) == 3).values(hashes=bytes(96))
            session.execute(forged)
        assert proof(books, 0) == first
        check_proof(proof(books, 1), reading(books, 1))
        with pytest.raises(AnchorInvalid, match="does not lead to the device"):
            check_proof(proof_from(books, Trees(most_bytes=1 << 20)), reading(books, 1))

    def test_are_of_accepted_readings_only(self, clerk: Clerk, books: Books) -> None:
        arrive(clerk, HONEST[:1], at=EVENING)
        with pytest.raises(NotFound, match="reading_not_found"):
            proof(books, 1)

    def test_name_the_newest_place_that_was_confirmed(self, clerk: Clerk, books: Books) -> None:
        arrive(clerk, HONEST, at=EVENING)
        close(books)
        root = books.events("day_closed")[0]["root"]
        assert proof(books, 0).announcement == PLACE
        for event in (
            announced(root, block=7, after=0),
            announced(root, block=9, after=2),
            announced(root, block=8, after=1),
        ):
            with books.database.unit_of_work() as session:
                keep_announcement(DayStore(session), event)
        kept = proof(books, 0).announcement
        assert (kept.transaction, kept.block) == ((9).to_bytes(32), 9)

    def test_take_no_root_of_somebody_elses(self, clerk: Clerk, books: Books) -> None:
        arrive(clerk, HONEST, at=EVENING)
        close(books)
        foreign = announced("0x" + "11" * 32, block=7)
        with pytest.raises(LookupError), books.database.unit_of_work() as session:
            keep_announcement(DayStore(session), foreign)


class TestDaysOfADevice:
    def test_are_paged_newest_first(self, clerk: Clerk, books: Books) -> None:
        for number in range(3):
            arrive(clerk, HONEST[2 * number : 2 * number + 2], at=EVENING + timedelta(days=number))
            close(books, day=DAY + number)
        first = days(books, limit=2)
        assert [item["day"] for item in first["items"]] == [str(DAY + 2), str(DAY + 1)]
        second = days(books, cursor=first["next"], limit=2)
        assert [item["day"] for item in second["items"]] == [str(DAY)]
        assert second["next"] is None

    @pytest.mark.parametrize("cursor", ["", "x", "-1", "²", "9" * 12])
    def test_have_no_strange_cursors(self, books: Books, cursor: str) -> None:
        with pytest.raises(Invalid, match="bad_cursor"):
            days(books, cursor=cursor)
