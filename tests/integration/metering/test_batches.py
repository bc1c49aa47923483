"""Readings that come in batches: whole or not at all, and as if they had come one by one."""

from collections.abc import Sequence

import pytest

from hireling.rental.batch import batch_wire
from hireling.rental.reading import SignedReading
from services.metering.recording import Answers
from services.metering.settings import MeteringSettings
from services.metering.wire import Incoming
from tests.builders import a_key, a_reading_chain
from tests.integration.metering.books import Books, Clerk, acked, codes, resigned

HONEST = a_reading_chain(20)


def message(books: Books, readings: Sequence[SignedReading]) -> Incoming:
    """Return what the broker delivers when the device publishes these readings together."""
    wire = batch_wire([signed.model_dump_json() for signed in readings])
    return books.message(wire.encode(), kind="batches")


def take(clerk: Clerk, *batches: Sequence[SignedReading]) -> Answers:
    """Record batches in one transaction."""
    return clerk.record([message(clerk.books, batch) for batch in batches])


class TestBatches:
    def test_count_as_if_each_reading_had_come_by_itself(self, clerk: Clerk, books: Books) -> None:
        assert acked(take(clerk, HONEST[:8], HONEST[8:])) == [19]
        assert books.accepted() == [signed.model_dump(mode="json") for signed in HONEST]
        assert books.told() == books.accepted()
        assert books.refusals() == []

    def test_are_told_whole_or_not_in_one_event(self, clerk: Clerk, books: Books) -> None:
        readings = a_reading_chain(180)
        take(clerk, readings[:60], readings[60:120], readings[120:])
        assert [len(event["readings"]) for event in books.events()] == [60, 60, 60]

    def test_that_come_twice_are_acknowledged_and_told_once(self, clerk: Clerk, books: Books) -> None:
        take(clerk, HONEST[:8])
        assert acked(take(clerk, HONEST[:8], HONEST[:8])) == [7]
        assert len(books.told()) == 8
        assert books.refusals() == []

    @pytest.mark.parametrize("held", [1, 5, 8])
    def test_overlapping_what_is_held_add_what_is_new(self, clerk: Clerk, books: Books, held: int) -> None:
        clerk.take(HONEST[:held])
        assert acked(take(clerk, HONEST[:10])) == [9]
        assert acked(clerk.take(HONEST[8:])) == [19]
        assert books.told() == books.accepted() == [signed.model_dump(mode="json") for signed in HONEST]
        assert books.refusals() == []

    def test_beyond_a_hole_wait_for_it_to_fill(self, clerk: Clerk, books: Books) -> None:
        answers = take(clerk, HONEST[:5], HONEST[8:14], HONEST[14:])
        assert acked(answers) == [4]
        assert codes(answers) == ["gap", "gap"]
        assert acked(take(clerk, HONEST[5:8])) == [19]
        assert books.told() == books.accepted()
        assert books.refused() == []

    def test_beginning_alike_beyond_a_hole_are_no_conflict(self, clerk: Clerk, books: Books) -> None:
        take(clerk, HONEST[8:12])
        assert codes(take(clerk, HONEST[8:14])) == ["gap"]
        assert acked(take(clerk, HONEST[:8])) == [11]
        assert acked(take(clerk, HONEST[8:14])) == [13]
        assert books.told() == books.accepted()


class TestRefuseBatches:
    def check_nothing_counts(self, clerk: Clerk, readings: Sequence[SignedReading], code: str) -> None:
        """Assert that nothing of a batch counts, and that its honest form still does."""
        assert codes(take(clerk, readings)) == [code]
        assert clerk.books.accepted() == []
        assert acked(take(clerk, HONEST)) == [19]

    def test_of_which_one_sample_was_altered(self, clerk: Clerk) -> None:
        sample = HONEST[4].reading.sample.model_copy(update={"counters": (9, 9)})
        reading = HONEST[4].reading.model_copy(update={"sample": sample})
        altered = HONEST[4].model_copy(update={"reading": reading})
        self.check_nothing_counts(clerk, [*HONEST[:4], altered, *HONEST[5:]], "broken_chain")

    def test_of_which_the_last_sample_was_altered(self, clerk: Clerk) -> None:
        sample = HONEST[4].reading.sample.model_copy(update={"counters": (9, 9)})
        reading = HONEST[4].reading.model_copy(update={"sample": sample})
        altered = HONEST[4].model_copy(update={"reading": reading})
        self.check_nothing_counts(clerk, [*HONEST[:4], altered], "wrong_key")

    def test_in_another_order(self, clerk: Clerk) -> None:
        self.check_nothing_counts(clerk, HONEST[::-1], "gap")

    def test_signed_by_somebody_else(self, clerk: Clerk) -> None:
        self.check_nothing_counts(
            clerk, [*HONEST[:4], resigned(HONEST[4], key=a_key("a thief"))], "wrong_key"
        )

    def test_torn_in_the_middle(self, clerk: Clerk, books: Books) -> None:
        whole = message(books, HONEST[:5]).payload
        answers = clerk.record([books.message(whole[: len(whole) // 2], kind="batches")])
        assert codes(answers) == ["malformed"]
        assert acked(take(clerk, HONEST)) == [19]

    def test_larger_than_it_may_be(self, books: Books) -> None:
        clerk = Clerk(books, MeteringSettings(largest_payload=700))
        assert codes(take(clerk, HONEST)) == ["malformed"]
        assert acked(take(clerk, HONEST[:5])) == [4]

    def test_whole_where_one_reading_is_implausible(self, clerk: Clerk, books: Books) -> None:
        fast = [*HONEST[:4], resigned(HONEST[4], counters=(10**12, 10**12))]
        answers = take(clerk, fast)
        assert codes(answers) == ["implausible_rate"]
        assert books.refused() == [("4", "implausible_rate")]
        assert acked(clerk.take(HONEST[:4])) == [3]

    def test_that_contradict_what_is_held(self, clerk: Clerk, books: Books) -> None:
        clerk.take([*HONEST[:4], resigned(HONEST[4], amount_due=10**6)])
        assert codes(take(clerk, HONEST[:8])) == ["conflicting_number"]
        [refusal] = books.refusals()
        assert (refusal.seq, refusal.against) == ("4", books.accepted()[4])
