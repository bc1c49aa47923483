"""What was refused, listed by page over the API, from the very messages that were refused."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from services.chassis.database import open_database
from services.metering.wire import Incoming
from tests.builders import NOW, a_reading_chain
from tests.fakes.clock import FixedClock
from tests.fakes.front import Front, running_front, sqlite_urls
from tests.integration.metering.books import LATER, Books, Clerk, resigned

HONEST = a_reading_chain(8)
STRANGER = "0x" + "5e" * 32


@pytest.fixture
def quarantine(tmp_path: Path) -> Iterator[tuple[Front, Books]]:
    """Run the gateway and metering, and refuse seven messages of one device and two of a stranger."""
    urls = sqlite_urls(tmp_path)
    with running_front(urls, clock=FixedClock(NOW)) as front:
        books = Books(open_database(urls["metering"]))
        books.agree()
        clerk = Clerk(books)
        rubbish = [books.message(f"rubbish {number}".encode()) for number in range(4)]
        topic = f"hireling/{STRANGER}/readings"
        strange = [
            Incoming(topic=topic, payload=str(number).encode(), received_at=LATER) for number in (1, 2)
        ]
        clerk.record([*rubbish, *strange])
        clerk.take(HONEST[:3])
        clerk.take([resigned(HONEST[1], amount_due=10**6)])
        clerk.take(HONEST[4:6])
        yield front, books
        books.database.close()


def everything(front: Front, path: str, *, limit: int = 200) -> list[dict[str, Any]]:
    """Return all pages' items."""
    found: list[dict[str, Any]] = []
    joint = "&" if "?" in path else "?"
    page = front.get(f"{path}{joint}limit={limit}")
    found += page["items"]
    while page["next"] is not None:
        assert len(page["items"]) == limit
        page = front.get(f"{path}{joint}limit={limit}&cursor={page['next']}")
        found += page["items"]
    return found


class TestAnOwner:
    def test_sees_what_was_refused_of_the_device_newest_first(self, quarantine: tuple[Front, Books]) -> None:
        front, books = quarantine
        found = everything(front, f"/v1/devices/{books.device}/refusals")
        assert [each["code"] for each in found] == ["gap", "gap", "conflicting_number", *["malformed"] * 4]
        assert {each["device"] for each in found} == {books.device}
        assert [each["seq"] for each in found[:3]] == [5, 4, 1]
        assert all(each["detail"] and each["source"] == "metering" for each in found)

    def test_turns_the_pages(self, quarantine: tuple[Front, Books]) -> None:
        front, books = quarantine
        path = f"/v1/devices/{books.device}/refusals"
        whole = everything(front, path)
        for limit in (1, 2, 3, 7):
            assert everything(front, path, limit=limit) == whole

    def test_leaves_out_what_was_resolved_since(self, quarantine: tuple[Front, Books]) -> None:
        front, books = quarantine
        path = f"/v1/devices/{books.device}/refusals?code=gap"
        assert len(everything(front, f"{path}&unresolved_only=true")) == 2
        Clerk(books).take([HONEST[3]])
        assert everything(front, f"{path}&unresolved_only=true") == []
        assert [each["resolved_at"] is not None for each in everything(front, path)] == [True, True]


class TestTheOperator:
    def test_sees_everybodys(self, quarantine: tuple[Front, Books]) -> None:
        front, books = quarantine
        found = everything(front, "/v1/refusals", limit=4)
        assert len(found) == 9
        assert {each["device"] for each in found} == {books.device, STRANGER}
        assert len(everything(front, f"/v1/refusals?device={STRANGER}&code=malformed")) == 2
        assert everything(front, f"/v1/refusals?device=0x{'00' * 32}") == []

    @pytest.mark.parametrize("cursor", ["-1", "x", "9" * 30])
    def test_is_told_that_a_cursor_is_none_of_ours(
        self, quarantine: tuple[Front, Books], cursor: str
    ) -> None:
        front, _ = quarantine
        response = front.client.get(f"/v1/refusals?cursor={cursor}")
        assert (response.status_code, response.json["code"]) == (422, "bad_cursor")  # type: ignore[index]
