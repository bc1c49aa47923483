"""Slots of a device's time: promised once, side by side, held for a minute, given back; on both databases."""

from collections.abc import Iterator
from contextlib import ExitStack, closing
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import eventlet
import pytest
from sqlmodel import select

from hireling.rental.agenda import Agenda
from hireling.rental.listing import SignedListing
from hireling.rental.offer import SignedOffer, counter, sign_offer, terms_of
from services.chassis.database import open_database
from services.chassis.rpc import RpcClient
from services.chassis.runner import running
from services.messages.errors import Conflict, Refused, Unavailable
from services.negotiation.models import SlotRow
from services.negotiation.service import Negotiation
from tests.builders import NOW
from tests.fakes.actors import RenterActor
from tests.fakes.clock import FixedClock
from tests.fakes.front import Front, postgresql_urls, running_front, sqlite_urls

NOON, HOUR, DAY = int(NOW.timestamp()), 3_600, 86_400
GRACE, TURNAROUND = 30, 870


@pytest.fixture(params=["sqlite", pytest.param("postgresql", marks=pytest.mark.stack)])
def front(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Front]:
    """Run the front at a moment that stands still."""
    with ExitStack() as cleanup:
        urls = sqlite_urls(tmp_path)
        if request.param == "postgresql":
            urls = postgresql_urls(cleanup)
        yield cleanup.enter_context(running_front(urls, clock=FixedClock(NOW)))


def bookable(front: Front, **changes: Any) -> SignedListing:
    """List a machine that takes bookings a week ahead; an hour of use takes it for an hour and a quarter."""
    return front.offer_for_hire(**{"books_ahead": 7 * DAY, "turnaround": TURNAROUND} | changes)


def renter(front: Front, name: str) -> RenterActor:
    return RenterActor(clock=front.clock, name=name)


def book(front: Front, listing: SignedListing, name: str, *, start_at: int, seconds: int = HOUR) -> str:
    """Agree on a rental; return its id."""
    who = renter(front, name)
    offer = front.offered(listing, renter=who, start_at=start_at, seconds=seconds)
    rental_id: str = front.agree(offer, renter=who)["rental_id"]
    front.wait_for_rental(rental_id)
    return rental_id


def busy(front: Front) -> list[tuple[int, int, bool]]:
    """Return the calendar's slots, in seconds from noon."""
    slots = front.get(f"/v1/devices/{front.device.device}/calendar")["busy"]
    return [(_from_noon(slot["start_at"]), _from_noon(slot["until"]), slot["funded"]) for slot in slots]


def kept(front: Front) -> dict[str, bool]:
    """Return the rentals whose slots are kept, lapsed ones too, and whether each is funded."""
    database = open_database(front.urls["negotiation"])
    with closing(database), database.snapshot() as session:
        return {row.rental_id: row.funded for row in session.exec(select(SlotRow))}


def change(front: Front, rental_id: str, state: str) -> None:
    """Have settlement say that a rental is in this state, and wait until negotiation has heard it."""
    before = busy(front)
    front.call("settlement", "change_rental", rental_id, {"state": state})
    front.platform.wait_until(lambda: busy(front) != before, timeout=20.0)


def pass_time(front: Front, seconds: int) -> None:
    """Move the clock, with the machine alive."""
    front.clock.advance(seconds=seconds)
    front.call("listing", "heartbeat", front.device.device, front.device.heartbeat())


def _from_noon(text: str) -> int:
    return int(datetime.fromisoformat(text).astimezone(UTC).timestamp()) - NOON


class TestBooking:
    def test_books_tomorrow_while_the_machine_is_taken_today(self, front: Front) -> None:
        listing = bookable(front)
        today = book(front, listing, "one", start_at=NOON, seconds=600)
        change(front, today, "ACTIVE")
        book(front, listing, "another", start_at=NOON + DAY)
        # From now on, with a quarter of an hour to fund it; tomorrow's begins when it was asked for.
        assert busy(front) == [
            (0, 900 + 600 + GRACE + TURNAROUND, True),
            (DAY, DAY + HOUR + GRACE + TURNAROUND, False),
        ]

    def test_says_when_the_machine_is_free_next_and_neighbours_may_touch(self, front: Front) -> None:
        listing = bookable(front)
        first = book(front, listing, "one", start_at=NOON + DAY)
        with pytest.raises(Conflict) as caught:
            front.ask(listing, renter=renter(front, "another"), start_at=NOON + DAY + 900, seconds=HOUR)
        assert (caught.value.code, caught.value.fields["rental_id"]) == ("device_taken", first)
        following = NOON + DAY + HOUR + GRACE + TURNAROUND
        assert caught.value.fields["next_start"] == str(following)
        book(front, listing, "another", start_at=following)
        assert [slot[:2] for slot in busy(front)] == [
            (DAY, following - NOON),
            (following - NOON, following - NOON + HOUR + GRACE + TURNAROUND),
        ]

    def test_of_two_who_bargained_for_one_slot_the_second_gets_none(self, front: Front) -> None:
        listing, start = bookable(front), NOON + DAY
        offers = [
            (who, front.offered(listing, renter=who, start_at=at, seconds=HOUR))
            for who, at in ((renter(front, "one"), start), (renter(front, "another"), start + 1_800))
        ]
        front.agree(offers[0][1], renter=offers[0][0])
        with pytest.raises(Conflict) as caught:
            front.agree(offers[1][1], renter=offers[1][0])
        assert caught.value.code == "device_taken"
        assert len(busy(front)) == 1

    def test_an_offer_cannot_move_the_start_to_where_the_machine_is_taken(self, front: Front) -> None:
        listing = bookable(front, agenda=Agenda(start=(0, 1_800)))
        book(front, listing, "one", start_at=NOON + DAY + 5_400)
        first = front.offered(listing, start_at=NOON + DAY, seconds=HOUR)
        terms = terms_of(first.offer)
        later = counter(
            first.offer,
            terms=type(terms)(**{**vars(terms), "start_at": terms.start_at + 1_800}),
            now=front.clock.now(),
        )
        with pytest.raises(Conflict) as caught:
            front.call(
                "negotiation",
                "make_offer",
                later.quote_id,
                sign_offer(front.renter.session_key, later),
            )
        assert caught.value.code == "device_taken"

    def test_refuses_a_start_further_ahead_than_the_listing_says(self, front: Front) -> None:
        listing = bookable(front, books_ahead=DAY)
        with pytest.raises(Refused) as caught:
            front.ask(listing, start_at=NOON + DAY + 900)
        assert caught.value.code == "bad_start"

    def test_without_bookings_a_machine_has_one_agreement_at_a_time(self, front: Front) -> None:
        listing = front.offer_for_hire()
        rental_id = book(front, listing, "one", start_at=NOON, seconds=600)
        with pytest.raises(Conflict) as caught:
            front.ask(listing, renter=renter(front, "another"), start_at=NOON + 10 * HOUR)
        assert caught.value.fields["rental_id"] == rental_id
        # 12:25:30 is its end; a quarter of an hour that is full follows.
        assert caught.value.fields["next_start"] == str(NOON + 1_800)


class TestHold:
    def test_gives_back_what_a_rental_did_not_use(self, front: Front) -> None:
        listing = bookable(front)
        rental_id = book(front, listing, "one", start_at=NOON, seconds=10 * HOUR)
        change(front, rental_id, "ACTIVE")
        change(front, rental_id, "CLOSED")
        assert busy(front) == []
        book(front, listing, "another", start_at=NOON, seconds=HOUR)

    @pytest.mark.parametrize("state", ["EXPIRED", "CANCELLED", "FORCE_CLOSED"])
    def test_frees_the_slot_of_a_rental_that_never_came_about(self, front: Front, state: str) -> None:
        rental_id = book(front, bookable(front), "one", start_at=NOON + DAY)
        change(front, rental_id, state)
        assert busy(front) == []

    def test_lasts_a_minute_without_the_money_and_the_first_funded_wins(self, front: Front) -> None:
        listing, start = bookable(front), NOON + DAY
        slow = book(front, listing, "one", start_at=start)
        pass_time(front, 59)
        with pytest.raises(Conflict):
            front.ask(listing, renter=renter(front, "another"), start_at=start)
        pass_time(front, 1)
        assert busy(front) == []
        quick = book(front, listing, "another", start_at=start)
        change(front, quick, "FUNDED")
        assert kept(front) == {slow: False, quick: True}
        front.call("settlement", "change_rental", slow, {"state": "FUNDED"})
        # The slow one loses its slot when its money comes: it does not come back with the other's end.
        front.platform.wait_until(lambda: kept(front) == {quick: True}, timeout=20.0)
        change(front, quick, "CANCELLED")
        assert kept(front) == {}

    def test_who_funds_late_keeps_the_slot_where_nobody_else_did(self, front: Front) -> None:
        listing, start = bookable(front), NOON + DAY
        slow = book(front, listing, "one", start_at=start)
        pass_time(front, 60)
        book(front, listing, "another", start_at=start)
        front.call("settlement", "change_rental", slow, {"state": "FUNDED"})
        front.platform.wait_until(
            lambda: (DAY, DAY + HOUR + GRACE + TURNAROUND, True) in busy(front), timeout=20.0
        )
        pass_time(front, 60)
        assert busy(front) == [(DAY, DAY + HOUR + GRACE + TURNAROUND, True)]

    def test_a_renter_has_one_unfunded_hold_of_a_machine(self, front: Front) -> None:
        listing = bookable(front)
        first = book(front, listing, "one", start_at=NOON + DAY)
        who = renter(front, "one")
        offer = front.offered(listing, renter=who, start_at=NOON + 2 * DAY, seconds=HOUR)
        with pytest.raises(Conflict) as caught:
            front.agree(offer, renter=who)
        assert (caught.value.code, caught.value.fields["rental_id"]) == ("hold_open", first)
        change(front, first, "FUNDED")
        front.agree(offer, renter=who)
        assert [funded for *_, funded in busy(front)] == [True, False]


class TestCalendar:
    def test_shows_the_listings_terms_and_nobodys_name(self, front: Front) -> None:
        bookable(front)
        book(
            front,
            front.device.listing(books_ahead=7 * DAY, turnaround=TURNAROUND),
            "one",
            start_at=NOON + DAY,
        )
        calendar = front.get(f"/v1/devices/{front.device.device}/calendar")
        assert (calendar["books_ahead"], calendar["turnaround"]) == (str(7 * DAY), str(TURNAROUND))
        assert [set(slot) for slot in calendar["busy"]] == [{"start_at", "until", "funded"}]

    def test_of_an_unknown_device_is_not_found(self, front: Front) -> None:
        assert front.client.get(f"/v1/devices/0x{'ab' * 32}/calendar").status_code == 404

    def test_is_empty_for_a_device_that_lists_nothing(self, front: Front) -> None:
        front.admit()
        assert front.get(f"/v1/devices/{front.device.device}/calendar")["busy"] == []


def test_two_copies_of_the_service_never_promise_a_second_twice(front: Front) -> None:
    """Twelve renters sign at once, at two copies, for slots that overlap in threes: one of three wins."""
    listing = bookable(front)
    starts = [NOON + DAY + 2 * HOUR * place for place in range(4)]
    offers = []
    for number in range(12):
        who = renter(front, f"renter {number}")
        start_at = starts[number % 4] + 900 * (number // 4 % 2)
        offer = front.offered(listing, renter=who, start_at=start_at, seconds=HOUR)
        front.call("negotiation", "sign_agreement", front.device.signature(offer.offer))
        offers.append((who, offer))

    def sign(job: tuple[int, RenterActor, SignedOffer], clients: list[RpcClient]) -> str:
        number, who, offer = job
        signature = who.signature(offer.offer).model_dump(mode="json")
        while True:
            try:
                clients[number % 2].call("negotiation", "sign_agreement", signature, timeout=20.0)
            except Unavailable as error:
                assert error.code == "database_busy"  # noqa: PT017 - every other one is raised below
                eventlet.sleep(0.05)
            except Conflict as error:
                return error.code
            else:
                return "agreed"

    with running(Negotiation, databases=front.urls, clock=front.clock) as second:
        clients = [front.platform.rpc, second.rpc]
        jobs = [(number, who, offer) for number, (who, offer) in enumerate(offers)]
        answers = list(eventlet.GreenPool(12).imap(lambda job: sign(job, clients), jobs))

    assert sorted(answers) == ["agreed"] * 4 + ["device_taken"] * 8
    slots = busy(front)
    assert len(slots) == 4
    assert all(slots[place][1] <= slots[place + 1][0] for place in range(3))
