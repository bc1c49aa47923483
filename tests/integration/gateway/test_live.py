"""Live streams and long polls."""

import json
from collections.abc import Iterator

import eventlet
import pytest

from tests.fakes.front import Front


def events(chunks: Iterator[bytes]) -> Iterator[tuple[str, str]]:
    """Return each event's name and data."""
    for block in (chunk.decode() for chunk in chunks):
        fields = dict(line.split(":", 1) for line in block.rstrip("\n").split("\n"))
        if "event" in fields:
            yield fields["event"].strip(), fields["data"].strip()


def a_rental(front: Front) -> str:
    """Return a rental's id."""
    rental_id: str = front.agree(front.offered(front.offer_for_hire()))["rental_id"]
    front.wait_for_rental(rental_id)
    return rental_id


class TestRentalEvents:
    def test_tells_every_change_and_ends_with_the_rental(self, front: Front) -> None:
        rental_id = a_rental(front)
        response = front.client.get(f"/v1/rentals/{rental_id}/events")
        assert response.mimetype == "text/event-stream"
        stream = events(iter(response.response))  # type: ignore[arg-type]
        seen = []
        for changes in ({"state": "ACTIVE"}, {"amount_due": "7"}, {"state": "SETTLED"}, {"bill": True}):
            seen.append(next(stream))
            front.call("settlement", "change_rental", rental_id, changes)
        seen += list(stream)
        rentals = [json.loads(data) for name, data in seen if name == "rental"]
        assert [(rental["state"], rental["amount_due"], rental["bill"]) for rental in rentals] == [
            ("AGREED", "0", False),
            ("ACTIVE", "0", False),
            ("ACTIVE", "7", False),
            ("SETTLED", "7", False),
            ("SETTLED", "7", True),
        ]
        assert seen[-1][0] == "end"

    def test_of_a_rental_nobody_knows_is_not_found(self, front: Front) -> None:
        assert front.client.get(f"/v1/rentals/0x{'00' * 32}/events").status_code == 404

    def test_says_something_while_nothing_changes(self, front: Front) -> None:
        response = front.client.get(f"/v1/rentals/{a_rental(front)}/events")
        chunks = iter(response.response)
        next(chunks)
        assert next(chunks) == b": still here\n\n"
        response.close()

    def test_serves_only_so_many_at_once_and_frees_what_is_closed(self, front: Front) -> None:
        path = f"/v1/rentals/{a_rental(front)}/events"
        watched = [front.client.get(path) for _ in range(2)]
        refused = front.client.get(path)
        assert (refused.status_code, refused.json["code"]) == (503, "too_many_streams")  # type: ignore[index]
        watched.pop().close()
        assert front.client.get(path).status_code == 200


class TestLongPoll:
    def test_answers_as_soon_as_an_offer_comes(self, front: Front) -> None:
        listing = front.offer_for_hire()
        quote_id = front.ask(listing)
        request = front.renter.question(listing.document).request
        offer = front.device.first_offer(request, listing.document, quote_id)
        eventlet.spawn_after(0.1, front.call, "negotiation", "make_offer", quote_id, offer)
        assert len(front.get(f"/v1/quotes/{quote_id}?after=0&wait=5")["offers"]) == 1

    def test_answers_as_soon_as_the_other_side_signs(self, front: Front) -> None:
        offer = front.offered(front.offer_for_hire())
        eventlet.spawn_after(
            0.1, front.call, "negotiation", "sign_agreement", front.device.signature(offer.offer)
        )
        quote = front.get(f"/v1/quotes/{offer.offer.quote_id}?after=1&wait=5")
        assert quote["signed_by"] == ["owner"]

    def test_answers_with_what_there_is_when_time_is_up(self, front: Front) -> None:
        quote_id = front.ask(front.offer_for_hire())
        assert front.get(f"/v1/quotes/{quote_id}?after=0&wait=0.1")["offers"] == []

    def test_answers_as_soon_as_a_rental_goes_on(self, front: Front) -> None:
        path = f"/v1/rentals/{a_rental(front)}"
        known = front.get(path)
        eventlet.spawn_after(
            0.1, front.call, "settlement", "change_rental", known["rental_id"], {"state": "FUNDED"}
        )
        assert front.get(f"{path}?progress={known['progress']}&wait=5")["state"] == "FUNDED"
        # What the caller does not know yet is news, however long ago it happened.
        assert front.get(f"{path}?progress={known['progress']}&wait=5")["state"] == "FUNDED"

    def test_answers_with_the_same_rental_when_time_is_up(self, front: Front) -> None:
        path = f"/v1/rentals/{a_rental(front)}"
        known = front.get(path)
        assert front.get(f"{path}?progress={known['progress']}&wait=0.1") == known

    @pytest.mark.parametrize(
        "path", [f"/v1/rentals/0x{'00' * 32}?progress=1", "/v1/quotes/none?after=0&signatures=0"]
    )
    def test_of_what_nobody_knows_is_not_found_at_once(self, front: Front, path: str) -> None:
        assert front.client.get(f"{path}&wait=5").status_code == 404


class TestPages:
    def test_the_first_page_shows_what_is_for_hire_and_what_runs(self, front: Front) -> None:
        rental_id = a_rental(front)
        page = front.client.get("/").text
        assert "A vacuum cleaner" in page
        assert "0.300000 tUSD per kWh" in page
        assert f"/rentals/{rental_id}" in page

    def test_a_rentals_page_stands_while_a_service_is_missing(self, front_without_metering: Front) -> None:
        rental_id = a_rental(front_without_metering)
        page = front_without_metering.client.get(f"/rentals/{rental_id}")
        assert page.status_code == 200
        assert "Metering or settlement is not answering" in page.text

    def test_a_title_cannot_smuggle_markup(self, front: Front) -> None:
        front.offer_for_hire(title="<script>alert(1)</script>")
        page = front.client.get("/").text
        assert "<script>alert" not in page
        assert "&lt;script&gt;alert" in page

    def test_the_live_stream_carries_the_same_parts(self, front: Front) -> None:
        front.offer_for_hire()
        response = front.client.get("/live")
        name, data = next(events(iter(response.response)))  # type: ignore[arg-type]
        response.close()
        assert name == "parts"
        assert set(json.loads(data)) == {"rentals", "listings", "bills"}
