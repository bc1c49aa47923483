"""Batches of messages, recorded into a real database."""

import json
from datetime import timedelta

import pytest
from sqlalchemy.exc import IntegrityError

from hireling.rental.ceiling import SignedCeiling, first_ceiling, next_ceiling, sign_ceiling
from hireling.rental.reading import ReadingEvent, SignedReading
from hireling.rental.typed_data import Domain
from services.chassis.outbox import add_events
from services.messages.events.metering import UsageAccepted
from services.metering.settings import MeteringSettings
from services.metering.wire import Incoming
from tests.builders import (
    DOMAIN,
    METER_KEY,
    NOW,
    RENTER_AGENT_KEY,
    a_key,
    a_reading_chain,
    an_offer,
    signed_agreement,
)
from tests.integration.metering.books import LATER, Books, Clerk, acked, codes, resigned

HONEST = a_reading_chain(6)
OTHER = signed_agreement(offer=an_offer(quote_id="quote-2"))


class TestAcceptReadings:
    def test_stores_tells_and_acknowledges_a_run(self, clerk: Clerk, books: Books) -> None:
        answers = clerk.take(HONEST)
        assert acked(answers) == [5]
        assert books.accepted() == [reading.model_dump(mode="json") for reading in HONEST]
        assert books.told() == books.accepted()
        assert books.refusals() == []

    def test_sorts_a_shuffled_batch_without_seeing_a_gap(self, clerk: Clerk, books: Books) -> None:
        assert codes(clerk.take(HONEST[::-1])) == []
        assert books.numbers() == [0, 1, 2, 3, 4, 5]

    def test_tells_at_most_100_readings_in_one_event(self, clerk: Clerk, books: Books) -> None:
        clerk.take(a_reading_chain(250))
        assert [len(event["readings"]) for event in books.events()] == [100, 100, 50]

    def test_acknowledges_a_duplicate_again_and_tells_nothing(self, clerk: Clerk, books: Books) -> None:
        clerk.take(HONEST[:3])
        assert acked(clerk.take(HONEST[:3])) == [2]
        assert len(books.told()) == 3
        assert books.refusals() == []

    def test_follows_a_chain_that_another_process_carried_on(self, clerk: Clerk, books: Books) -> None:
        other = Clerk(books)
        clerk.take(HONEST[:2])
        other.take(HONEST[2:4])
        assert acked(clerk.take(HONEST[4:])) == [5]
        assert books.told() == books.accepted()
        assert books.numbers() == [0, 1, 2, 3, 4, 5]


class TestAtomicity:
    def test_stores_all_or_nothing_of_what_cannot_be_told(self, clerk: Clerk, books: Books) -> None:
        with books.database.unit_of_work() as session:
            told = (f"{books.rental_id}:5", '{"readings":[]}')
            add_events(session, UsageAccepted, [told], traces=[""], now=NOW)
        with pytest.raises(IntegrityError):
            clerk.take(HONEST)
        assert books.accepted() == []
        assert acked(clerk.take(HONEST[:5])) == [4]


class TestHoldReadings:
    def test_acknowledges_only_what_is_before_the_hole(self, clerk: Clerk, books: Books) -> None:
        answers = clerk.take([HONEST[0], *HONEST[2:]])
        assert acked(answers) == [0]
        assert codes(answers) == ["gap"] * 4
        assert books.numbers() == [0]
        assert books.refused() == [("2", "gap"), ("3", "gap"), ("4", "gap"), ("5", "gap")]

    def test_accepts_what_waited_when_the_hole_fills(self, clerk: Clerk, books: Books) -> None:
        clerk.take([HONEST[0], *HONEST[2:]])
        assert acked(clerk.take(HONEST[1:2])) == [5]
        assert books.told() == books.accepted()
        assert books.numbers() == [0, 1, 2, 3, 4, 5]
        assert books.refused() == []
        assert [row.resolved_at for row in books.refusals()] == [LATER] * 4

    def test_fills_two_holes_one_after_the_other(self, clerk: Clerk, books: Books) -> None:
        clerk.take([HONEST[0], HONEST[2], HONEST[4]])
        assert acked(clerk.take(HONEST[1:2])) == [2]
        assert acked(clerk.take(HONEST[3:4])) == [4]
        assert books.refused() == []

    def test_keeps_one_refusal_however_often_the_same_reading_waits(self, clerk: Clerk, books: Books) -> None:
        for _ in range(3):
            assert codes(clerk.take([HONEST[2]])) == ["gap"]
        assert len(books.refusals()) == 1

    def test_judges_what_waited_when_its_turn_comes(self, clerk: Clerk, books: Books) -> None:
        fallen = resigned(HONEST[2], counters=(0, 0))
        clerk.take([HONEST[0], fallen])
        assert codes(clerk.take(HONEST[1:2])) == ["counter_fell"]
        assert books.numbers() == [0, 1]
        assert books.refused() == [("2", "counter_fell")]
        assert acked(clerk.take(HONEST[2:])) == [5]

    def test_refuses_what_waits_beyond_the_last_reading(self, clerk: Clerk, books: Books) -> None:
        beyond = resigned(HONEST[5], seq=7)
        clerk.take([*HONEST[:4], HONEST[5], beyond])
        assert codes(clerk.take(HONEST[4:5])) == ["after_last"]
        assert books.refused() == [("7", "after_last")]

    def test_keeps_nothing_far_beyond_a_hole(self, books: Books) -> None:
        clerk = Clerk(books, MeteringSettings(hole_limit=2))
        largest = resigned(HONEST[4], seq=2**64 - 1)
        assert codes(clerk.take([HONEST[0], HONEST[2], HONEST[3], largest])) == ["gap"] * 3
        assert acked(clerk.take(HONEST[1:2])) == [2]
        assert acked(clerk.take(HONEST[3:])) == [5]
        assert books.refused() == [(str(2**64 - 1), "gap")]


class TestRefuseReadings:
    def test_keeps_both_readings_of_one_number_as_evidence(self, clerk: Clerk, books: Books) -> None:
        clerk.take(HONEST[:3])
        twin = resigned(HONEST[2], amount_due=10**6)
        assert codes(clerk.take([twin])) == ["conflicting_number"]
        [refusal] = books.refusals()
        assert json.loads(refusal.evidence) == twin.model_dump(mode="json")
        assert refusal.against == HONEST[2].model_dump(mode="json")
        assert acked(clerk.take(HONEST[3:])) == [5]

    def test_sees_a_conflict_among_readings_that_wait(self, clerk: Clerk, books: Books) -> None:
        twin = resigned(HONEST[3], amount_due=10**6)
        clerk.take([HONEST[3]])
        assert codes(clerk.take([twin])) == ["conflicting_number"]
        assert books.refusals()[-1].against == HONEST[3].model_dump(mode="json")

    def test_sees_a_conflict_within_one_batch(self, clerk: Clerk, books: Books) -> None:
        twin = resigned(HONEST[1], amount_due=10**6)
        assert codes(clerk.take([*HONEST[:2], twin])) == ["conflicting_number"]
        assert books.refusals()[-1].against == HONEST[1].model_dump(mode="json")

    @pytest.mark.parametrize(
        ("code", "reading"),
        [
            ("wrong_key", resigned(HONEST[2], key=a_key("a thief"))),
            ("wrong_key", HONEST[2].model_copy(update={"signature": b"\x01" * 65})),
            ("wrong_key", HONEST[2].model_copy(update={"signature": b""})),
            ("broken_chain", resigned(HONEST[2], previous=b"\x07" * 32)),
            ("counter_fell", resigned(HONEST[2], counters=(0, 0))),
            ("amount_fell", resigned(HONEST[2], amount_due=0)),
            ("clock_fell", resigned(HONEST[2], monotonic_ms=0)),
            ("implausible_rate", resigned(HONEST[2], counters=(10**9, 1_000))),
            ("malformed", resigned(HONEST[2], counters=(1,))),
            ("malformed", resigned(HONEST[2], event=ReadingEvent.BEGIN)),
        ],
        ids=lambda value: value if isinstance(value, str) else "",
    )
    def test_refuses_and_goes_on(
        self, clerk: Clerk, books: Books, *, code: str, reading: SignedReading
    ) -> None:
        assert codes(clerk.take([*HONEST[:2], reading])) == [code]
        assert books.refused() == [("2", code)]
        assert acked(clerk.take(HONEST[2:])) == [5]
        assert books.told() == books.accepted()

    def test_refuses_a_reading_of_another_chain(self, clerk: Clerk, books: Books) -> None:
        elsewhere = Domain(chain_id=1, escrow=DOMAIN.escrow)
        assert codes(clerk.take([HONEST[0].model_copy(update={"domain": elsewhere})])) == ["wrong_domain"]
        assert books.accepted() == []

    def test_refuses_a_reading_after_the_last(self, clerk: Clerk, books: Books) -> None:
        after = resigned(HONEST[5], seq=6)
        assert codes(clerk.take([*HONEST, after])) == ["after_last"]
        assert books.refused() == [("6", "after_last")]

    def test_bounds_counters_by_the_time_since_the_agreed_start(self, clerk: Clerk, books: Books) -> None:
        soon = NOW + timedelta(seconds=1)
        hasty = resigned(HONEST[1], counters=(3_000_000 * 60, 0), monotonic_ms=70_000)
        answers = clerk.record([books.message(HONEST[0], at=soon), books.message(hasty, at=soon)])
        assert codes(answers) == ["implausible_rate"]
        assert acked(clerk.take([hasty])) == [1]
        assert books.refused() == []

    def test_keeps_no_more_refusals_than_it_is_set_to(self, books: Books) -> None:
        clerk = Clerk(books, MeteringSettings(refusals_kept=3))
        for number in range(5):
            clerk.record([books.message(b"rubbish %d" % number), books.message(b"waste %d" % number)])
        assert len(books.refusals()) == 3


class TestRefuseRubbish:
    @pytest.mark.parametrize(
        "payload",
        [
            b"",
            b"\x00\xff",
            b"[]",
            b"null",
            b"{}",
            b'{"reading": 1}',
            b'{"\\u0000": "\\ud800"}',
            b"[" * 100_000,
            b"9" * 10_000,
        ],
        ids=lambda payload: payload[:10].hex(),
    )
    def test_attributes_what_does_not_parse_to_the_device_s_rental(
        self, clerk: Clerk, books: Books, payload: bytes
    ) -> None:
        answers = clerk.record([books.message(payload), *books.messages(HONEST)])
        assert codes(answers) == ["malformed"]
        assert acked(answers) == [5]
        assert books.refused() == [(None, "malformed")]

    def test_attributes_a_bad_field_to_the_number_that_it_claims(self, clerk: Clerk, books: Books) -> None:
        wire = HONEST[2].model_dump(mode="json")
        wire["reading"]["amount_due"] = 1.5
        assert codes(clerk.record([books.message(json.dumps(wire).encode())])) == ["malformed"]
        [refusal] = books.refusals()
        assert (refusal.seq, refusal.detail.split(":")[0]) == ("2", "reading.amount_due")

    def test_ignores_a_topic_that_is_no_device_s(self, clerk: Clerk) -> None:
        odd = Incoming(topic="hireling/x/readings", payload=b"{}", received_at=LATER)
        assert clerk.record([odd]).messages == []


class TestUnknownRentals:
    def test_returns_early_messages_first_and_refuses_them_later(self, clerk: Clerk) -> None:
        foreign = resigned(HONEST[0], rental_id=b"\x09" * 32, previous=b"\x09" * 32)
        early = clerk.take([foreign]).early
        assert [letter.incoming for letter in early] == clerk.books.messages([foreign])
        assert codes(clerk.put_down(early, patient=False)) == ["unknown_rental"]

    def test_settles_the_refusal_when_the_rental_turns_up(self, clerk: Clerk) -> None:
        late = Books(clerk.books.database, OTHER)
        readings = a_reading_chain(2, signed=late.signed)
        assert codes(clerk.record(late.messages(readings), patient=False)) == ["unknown_rental"] * 2
        late.agree()
        assert acked(clerk.record(late.messages(readings))) == [1]
        assert late.refused() == []


class TestCeilings:
    def ceiling(self, books: Books, **changes: int) -> SignedCeiling:
        first = first_ceiling(books.signed.agreement, rental_id=books.signed.rental_id)
        return sign_ceiling(RENTER_AGENT_KEY, DOMAIN, first.model_copy(update=changes))

    def take(self, clerk: Clerk, *ceilings: SignedCeiling) -> list[str]:
        return codes(clerk.record([clerk.books.message(ceiling, kind="ceilings") for ceiling in ceilings]))

    def test_tells_of_each_that_allows_more(self, clerk: Clerk, books: Books) -> None:
        first = self.ceiling(books)
        acknowledged = next_ceiling(books.signed.agreement, HONEST[3].reading)
        second = sign_ceiling(RENTER_AGENT_KEY, DOMAIN, acknowledged)
        assert self.take(clerk, first, second) == []
        told = [event["ceiling"] for event in books.events("ceiling_accepted")]
        assert told == [first.model_dump(mode="json"), second.model_dump(mode="json")]

    def test_ignores_an_old_one_that_comes_late(self, clerk: Clerk, books: Books) -> None:
        assert (
            self.take(clerk, self.ceiling(books, max_claimable=200), self.ceiling(books, max_claimable=100))
            == []
        )
        assert len(books.events("ceiling_accepted")) == 1

    def test_refuses_one_that_takes_something_back(self, clerk: Clerk, books: Books) -> None:
        before = self.ceiling(books, max_claimable=200, ack_amount=100)
        after = self.ceiling(books, max_claimable=300, ack_amount=50)
        assert self.take(clerk, before, after) == ["ceiling_fell"]

    def test_refuses_one_above_the_agreement(self, clerk: Clerk, books: Books) -> None:
        assert self.take(clerk, self.ceiling(books, max_claimable=10**15)) == ["above_total"]
        assert self.take(clerk, self.ceiling(books, ack_amount=10**15)) == ["acknowledges_more"]

    def test_refuses_one_signed_by_somebody_else(self, clerk: Clerk, books: Books) -> None:
        forged = sign_ceiling(METER_KEY, DOMAIN, self.ceiling(books).ceiling)
        assert self.take(clerk, forged) == ["wrong_key"]
        assert books.refused() == [(None, "wrong_key")]
