"""From a device's registration to an agreement, all over HTTP."""

from tests.fakes.front import Front


def test_two_agents_agree_over_http(front: Front) -> None:
    device, renter = front.device, front.renter

    registered = front.post("/v1/devices", device.registration())
    assert registered.status_code == 200, registered.text
    front.platform.wait_until(lambda: front.get(f"/v1/devices/{device.device}")["registered"], timeout=5.0)
    assert front.post(f"/v1/devices/{device.device}/heartbeats", device.heartbeat()).status_code == 200
    listing = device.listing()
    assert front.post("/v1/listings", listing).status_code == 200

    found = front.get("/v1/listings?kind=appliance&q=vacuum&online=true")["items"]
    assert [item["listing"] for item in found] == [f"0x{listing.hash.hex()}"]
    assert front.get(f"/v1/listings/0x{listing.hash.hex()}")["document"] == listing.document.model_dump(
        mode="json"
    )

    quote = front.post("/v1/quotes", renter.question(listing.document)).json
    assert quote is not None
    work = front.get(f"/v1/devices/{device.device}/work")
    assert [waiting["quote_id"] for waiting in work["quotes"]] == [quote["quote_id"]]

    request = renter.question(listing.document).request
    first = device.first_offer(request, listing.document, quote["quote_id"])
    offers = f"/v1/quotes/{quote['quote_id']}/offers"
    assert front.post(offers, first).json["turn"] == "renter"  # type: ignore[index]
    counter = renter.counter_offer(first.offer)
    assert front.post(offers, counter).json["turn"] == "owner"  # type: ignore[index]

    assert front.post("/v1/agreements", device.signature(counter.offer)).json["turn"] == "renter"  # type: ignore[index]
    agreed = front.post("/v1/agreements", renter.signature(counter.offer)).json
    assert agreed is not None
    assert agreed["status"] == "agreed"
    rental_id = agreed["rental_id"]
    signed = front.get(f"/v1/agreements/{rental_id}")
    assert signed["offer"] == counter.offer.model_dump(mode="json")

    front.wait_for_rental(rental_id)
    assert front.get(f"/v1/rentals/{rental_id}")["state"] == "AGREED"
    work = front.get(f"/v1/devices/{device.device}/work")
    assert [rental["rental_id"] for rental in work["rentals"]] == [rental_id]
