"""Listing and negotiation on PostgreSQL: one journey through every query, with SQLite's answers."""

from collections.abc import Iterator
from contextlib import ExitStack

import eventlet
import pytest

from hireling.rental.offer import SignedOffer
from hireling.rental.session_document import quote_id_of
from services.messages.errors import Conflict, Refused, Unavailable
from tests.builders import NOW, a_key, a_mandate, an_offer
from tests.fakes.actors import PROOF_SECONDS, DeviceActor, RenterActor
from tests.fakes.clock import FixedClock
from tests.fakes.front import Front, postgresql_urls, running_front

pytestmark = pytest.mark.stack


@pytest.fixture
def front() -> Iterator[Front]:
    """Run the front on PostgreSQL."""
    with ExitStack() as cleanup:
        urls = postgresql_urls(cleanup)
        yield cleanup.enter_context(running_front(urls, clock=FixedClock(NOW)))


def test_two_machines_are_listed_found_and_hired_once(front: Front) -> None:
    other = DeviceActor(clock=front.clock, meter=a_key("other meter"))
    front.offer_for_hire(other, title="A lathe")
    front.clock.advance(seconds=1)
    listing = front.offer_for_hire()

    first_page = front.call("listing", "search_listings", {"limit": 1, "online": True})
    second_page = front.call("listing", "search_listings", {"limit": 1, "cursor": first_page["next"]})
    assert [page["items"][0]["document"]["title"] for page in (first_page, second_page)] == [
        "A vacuum cleaner",
        "A lathe",
    ]
    assert len(front.call("listing", "search_listings", {"q": "LATHE", "kind": "appliance"})["items"]) == 1
    assert front.call("listing", "search_listings", {"online": False})["items"] == []
    devices = front.call("listing", "list_devices", None, 1)
    assert len(front.call("listing", "list_devices", devices["next"], 1)["items"]) == 1

    offer = front.offered(listing)
    with pytest.raises(Conflict) as second_question:
        front.call("negotiation", "request_quote", front.renter.question(listing.document, seconds=60))
    assert second_question.value.code == "quote_already_open"
    agreed = front.agree(offer)
    assert front.agree(offer) == agreed
    with pytest.raises(Conflict) as taken:
        front.ask(listing, renter=RenterActor(clock=front.clock, name="second renter"))
    assert taken.value.code == "device_taken"

    front.wait_for_rental(agreed["rental_id"])
    front.call("settlement", "change_rental", agreed["rental_id"], {"state": "SETTLED"})
    front.platform.wait_until(lambda: free(front), timeout=10.0)


def free(front: Front) -> bool:
    """Return whether the machine can be asked for again."""
    renter = RenterActor(clock=front.clock, name="second renter")
    listing = front.call("listing", "search_listings", {"q": "vacuum"})["items"][0]
    assert listing["online"]
    try:
        front.ask(front.device.listing(valid_until=int(listing["document"]["valid_until"])), renter=renter)
    except Conflict:
        return False
    return True


def test_one_mandate_is_never_exceeded_by_many_signatures_at_once(front: Front) -> None:
    all_in, room_for, renters = an_offer().all_in, 6, 16
    listing = front.offer_for_hire()
    registration = front.device.registration(
        mandate=a_mandate(total=room_for * all_in), valid_until=front.device.now(PROOF_SECONDS + 1)
    )
    front.call("listing", "register_device", registration)
    made = [
        front.offered(listing, renter=RenterActor(clock=front.clock, name=f"renter {number}"))
        for number in range(renters)
    ]

    def sign(offer: SignedOffer) -> str:
        while True:
            try:
                front.call("negotiation", "sign_agreement", front.device.signature(offer.offer))
            except Unavailable as error:
                assert error.code == "database_busy"  # noqa: PT017  every other one is raised below
                eventlet.sleep(0.05)
            except Refused as error:
                return str(error.fields["limit"])
            else:
                return ""

    answers = list(eventlet.GreenPool(renters).imap(sign, made))
    assert sorted(answers) == [""] * room_for + ["total"] * (renters - room_for)


def test_many_moves_sent_twice_at_once_are_made_once(front: Front) -> None:
    listing = front.offer_for_hire()
    renters = [RenterActor(clock=front.clock, name=f"renter {number}") for number in range(6)]
    questions = [renter.question(listing.document) for renter in renters]
    offers = [
        front.device.first_offer(each.request, listing.document, quote_id_of(each.request))
        for each in questions
    ]
    signatures = [front.device.signature(each.offer) for each in offers]
    moves = [
        {"kind": kind, "document": document.model_dump(mode="json")}
        for kind, documents in (("question", questions), ("offer", offers), ("signature", signatures))
        for document in documents
    ]

    def make(_: int) -> list[str]:
        while True:
            try:
                answers = front.call("negotiation", "make_moves", moves)
            except Unavailable as error:
                assert error.code == "database_busy"  # noqa: PT017  every other one is raised
                eventlet.sleep(0.05)
            else:
                return [answer["outcome"] for answer in answers]

    assert list(eventlet.GreenPool(3).imap(make, range(3))) == [["done"] * len(moves)] * 3
    for offer in offers:
        quote = front.call("negotiation", "get_quote", offer.offer.quote_id)
        assert (len(quote["offers"]), quote["signed_by"]) == (1, ["owner"])


def test_of_offers_that_race_for_one_round_one_is_made(front: Front) -> None:
    first = front.offered(front.offer_for_hire())
    counters = [front.renter.counter_offer(first.offer, percent=percent) for percent in range(84, 96)]

    def make(offer: SignedOffer) -> str:
        while True:
            try:
                front.call("negotiation", "make_offer", first.offer.quote_id, offer)
            except Unavailable as error:
                assert error.code == "database_busy"  # noqa: PT017  every other one is raised below
                eventlet.sleep(0.05)
            except Conflict as error:
                return error.code
            else:
                return "made"

    answers = list(eventlet.GreenPool(len(counters)).imap(make, counters))
    assert answers.count("made") == 1
    assert set(answers) == {"made", "not_your_turn"}
    made = front.call("negotiation", "get_quote", first.offer.quote_id)["offers"]
    assert [each["offer"]["round"] for each in made] == ["0", "1"]
