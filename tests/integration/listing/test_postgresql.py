"""Searches on PostgreSQL: the answers of SQLite, by indexes of its own."""

from collections.abc import Iterator
from contextlib import ExitStack

import pytest
from alembic import command
from sqlalchemy import text

from services.chassis.database import open_database
from services.chassis.migrations import _DATABASE, _config, migrate
from services.messages.listing import ListingView
from tests import stack
from tests.builders import NOW, a_key
from tests.fakes.actors import DeviceActor
from tests.fakes.clock import FixedClock
from tests.fakes.front import SERVICES, Front, running_front

pytestmark = pytest.mark.stack

INDEXES = text("SELECT indexdef FROM pg_indexes WHERE tablename = 'listing' ORDER BY indexname")


@pytest.fixture
def front() -> Iterator[Front]:
    """Run the front on PostgreSQL."""
    with ExitStack() as cleanup:
        urls = {service: cleanup.enter_context(stack.fresh_database(service)) for service in SERVICES}
        yield cleanup.enter_context(running_front(urls, clock=FixedClock(NOW)))


class TestSearchListings:
    def test_finds_words_as_on_sqlite_whatever_stands_in_them(self, front: Front) -> None:
        titles = ("100%_a/b\\c'd", "Prusa MK4 in Oslo", 'A "lathe" ü 🔧')
        for number, title in enumerate(titles):
            front.offer_for_hire(DeviceActor(clock=front.clock, meter=a_key(f"meter {number}")), title=title)
            front.clock.advance(seconds=1)
        found = {
            words: [each["document"]["title"] for each in self._search(front, q=words)["items"]]
            for words in (
                "100% c'd",
                "b\\c",
                "a_b",
                "100__a",
                "OSLO prusa",
                "oslo ender",
                '"LATHE"',
                "ü",
                "appliance",
            )
        }
        assert found == {
            "100% c'd": [titles[0]],
            "b\\c": [titles[0]],
            "a_b": [],
            "100__a": [],
            "OSLO prusa": [titles[1]],
            "oslo ender": [],
            '"LATHE"': [titles[2]],
            "ü": [titles[2]],
            "appliance": [*reversed(titles)],
        }

    def test_pages_through_words_and_narrows_by_all_at_once(self, front: Front) -> None:
        for number in range(5):
            front.offer_for_hire(
                DeviceActor(clock=front.clock, meter=a_key(f"meter {number}")), title=f"Machine {number}"
            )
        titles, cursor = [], None
        for _ in range(3):
            page = self._search(front, q="machine", kind="appliance", online=True, limit=2, cursor=cursor)
            titles += [
                ListingView.model_validate(each, strict=False).document.title for each in page["items"]
            ]
            cursor = page["next"]
        assert sorted(titles) == [f"Machine {number}" for number in range(5)]
        assert cursor is None
        assert self._search(front, q="machine", online=False)["items"] == []

    def _search(self, front: Front, **query: object) -> dict[str, list[dict[str, dict[str, str]]]]:
        page: dict[str, list[dict[str, dict[str, str]]]] = front.call("listing", "search_listings", query)
        return page


def test_the_indexes_can_be_undone_and_made_again() -> None:
    with stack.fresh_database("listing") as url:
        migrate("listing", url=url)
        database = open_database(url)
        with database.glance() as connection:
            made = connection.execute(INDEXES).scalars().all()
        assert any("gin_trgm_ops" in each for each in made)
        configuration = _config("services.listing")
        configuration.attributes[_DATABASE] = database
        command.downgrade(configuration, "0004")
        command.upgrade(configuration, "head")
        with database.glance() as connection:
            assert connection.execute(INDEXES).scalars().all() == made
        database.close()
