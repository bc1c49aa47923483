"""A rental's use over time by HTTP, from the readings that metering took."""

from contextlib import closing
from pathlib import Path

from hireling.rental.agreement import SignedAgreement
from services.chassis.database import open_database
from services.metering.usage_store import UsageStore
from tests.builders import NOW, a_reading_chain
from tests.fakes.front import WITHIN_SECONDS, Front, sqlite_urls
from tests.integration.metering.books import Books, Clerk

START = int(NOW.timestamp())


def measured(front: Front, url: str) -> str:
    """Return a rental with a reading a second for three minutes."""
    quote = front.agree(front.offered(front.offer_for_hire()))
    rental_id: str = quote["rental_id"]
    readings = f"/v1/rentals/{rental_id}/readings"
    front.platform.wait_until(lambda: front.client.get(readings).status_code == 200, timeout=WITHIN_SECONDS)
    signed = SignedAgreement.model_validate(front.get(f"/v1/agreements/{rental_id}"))
    with closing(open_database(url)) as database:
        Clerk(Books(database, signed)).take(a_reading_chain(180, signed=signed))
    return rental_id


def is_rolled_up(url: str) -> bool:
    """Return whether the service has put every reading into its minute and hour."""
    with closing(open_database(url)) as database, database.snapshot() as session:
        return not UsageStore(session).has_unrolled()


def test_use_over_time_comes_in_steps_and_pages(front: Front, tmp_path: Path) -> None:
    metering_url = sqlite_urls(tmp_path)["metering"]
    path = f"/v1/rentals/{measured(front, metering_url)}/series?from={START}&to={START + 180}"
    minutes = front.get(f"{path}&step=60")
    assert minutes["next"] is None
    assert [(item["start"] - START, item["end"] - START, item["readings"]) for item in minutes["items"]] == [
        (0, 60, 60),
        (60, 120, 60),
        (120, 180, 60),
    ]
    assert [item["first"]["seq"] for item in minutes["items"]] == ["0", "60", "120"]
    first = front.get(f"{path}&step=45&limit=3")
    assert [item["readings"] for item in first["items"]] == [45, 45, 45]
    last = front.get(f"{path.replace(str(START), first['next'], 1)}&step=45&limit=3")
    assert [(item["readings"], item["last"]["seq"]) for item in last["items"]] == [(45, "179")]
    front.platform.wait_until(lambda: is_rolled_up(metering_url), timeout=WITHIN_SECONDS)
    assert front.get(f"{path}&step=60") == minutes
    for refused in ("step=90", "step=0", "step=x", "limit=0&step=60", ""):
        assert front.client.get(f"{path}&{refused}").status_code == 422
