"""Delegates on PostgreSQL: two copies of the service look for the same turns, and each turn gets one move."""

from collections.abc import Iterator
from contextlib import ExitStack

import pytest

from hireling.rental.session_document import SessionDocument, verify_session
from services.chassis.runner import running
from services.negotiation.service import Negotiation
from tests.builders import NOW
from tests.fakes.actors import RenterActor
from tests.fakes.clock import FixedClock
from tests.fakes.front import Front, postgresql_urls, running_front
from tests.integration.negotiation.delegates import Delegated

pytestmark = pytest.mark.stack


@pytest.fixture
def front(monkeypatch: pytest.MonkeyPatch) -> Iterator[Front]:
    """Run the front on PostgreSQL."""
    monkeypatch.setenv("NEGOTIATION_PASSPHRASE", "of the delegates' keys")
    with ExitStack() as cleanup:
        urls = postgresql_urls(cleanup)
        yield cleanup.enter_context(running_front(urls, clock=FixedClock(NOW)))


@pytest.mark.timeout(300)
def test_two_copies_bargain_as_one(front: Front) -> None:
    owner = Delegated(front=front)
    _, listing = owner.appoint()
    renters = [RenterActor(clock=front.clock, name=f"renter {number}") for number in range(4)]
    with running(Negotiation, databases=front.urls, clock=front.clock):
        quotes = [front.ask(listing, renter=renter) for renter in renters]
        for quote_id, renter in zip(quotes, renters, strict=True):
            owner.counter(owner.until_renters_turn(quote_id), renter, listing, (40, 0, 0, 0, 0))
        after = [owner.until_renters_turn(quote_id) for quote_id in quotes]
        agreed = owner.bargain(listing, RenterActor(clock=front.clock, name="the last"))
    assert [[made.offer.round for made in quote.offers] for quote in after] == [[0, 1, 2]] * 4
    assert agreed.status == "agreed"
    document = front.get(f"/v1/quotes/{agreed.quote_id}/documents")
    verify_session(SessionDocument.model_validate(document, strict=False))
    assert [move["round"] for move in owner.story(after[0].quote_id)["moves"]] == [0, 2]
