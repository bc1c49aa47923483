"""Auctions on PostgreSQL: bids that come at once, and two copies that close at once."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack

import eventlet
import pytest
from sqlalchemy import func, select
from sqlmodel import Session

from services.chassis.database import Database, open_database
from services.chassis.tables import OUTBOX
from services.messages.errors import Refused, Unavailable
from services.negotiation import auction_store
from services.negotiation.awarding import settle
from tests.auctions import CLOSES, OPENS, PRICES, a_bid, a_notice, lots_of, moment, signed_notice
from tests.builders import NOW
from tests.fakes.clock import FixedClock
from tests.fakes.front import Front, postgresql_urls, running_front

pytestmark = pytest.mark.stack


@pytest.fixture
def front() -> Iterator[Front]:
    """Run the front on PostgreSQL."""
    with ExitStack() as cleanup:
        urls = postgresql_urls(cleanup)
        yield cleanup.enter_context(running_front(urls, clock=FixedClock(NOW)))


def test_one_of_many_equal_bids_at_once_stands_and_the_end_is_drawn_once(front: Front) -> None:
    notice = a_notice("english", lots=lots_of([front.offer_for_hire()]), prices=PRICES[20:])
    name = front.call("negotiation", "open_auction", signed_notice(notice))["auction"]
    front.clock.advance(seconds=OPENS - int(NOW.timestamp()))

    def place(number: int) -> bool:
        while True:
            try:
                front.call("negotiation", "place_bid", name, a_bid(notice, f"bidder {number}", PRICES[30]))
            except Unavailable as error:
                assert error.code == "database_busy"  # noqa: PT017  every other one is raised below
                eventlet.sleep(0.05)
            except Refused:
                return False
            else:
                return True

    assert sum(eventlet.GreenPool(8).imap(place, range(8))) == 1

    database = open_database(front.urls["negotiation"])
    with ThreadPoolExecutor(4) as pool:
        list(pool.map(lambda _: close(database, name), range(8)))
    with database.snapshot() as session:
        counted = dict(session.execute(select(OUTBOX.c.type, func.count()).group_by(OUTBOX.c.type)).all())
    database.close()
    told = ("bid_came", "auction_closed", "award_made")
    assert [counted[kind] for kind in told] == [1, 1, 1]


def close(database: Database, name: str) -> None:
    """Close the auction, as one of many copies would."""

    def at_the_end(session: Session) -> None:
        row = auction_store.find_locked(session, name)
        assert row is not None
        settle(session, row, now=moment(CLOSES))

    while True:
        try:
            database.work(at_the_end)
        except Unavailable as error:
            assert error.code == "database_busy"  # noqa: PT017  as above
        else:
            return
