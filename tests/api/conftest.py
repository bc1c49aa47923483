"""The gateway with real services behind it, and something in each: a device, a listing, a quote, a rental."""

from collections.abc import Iterator
from dataclasses import dataclass

import pytest
from flask import Flask

from tests.builders import NOW, a_key
from tests.fakes.actors import DeviceActor
from tests.fakes.clock import FixedClock
from tests.fakes.front import running_front, sqlite_urls


@dataclass(frozen=True)
class Market:
    """The application, and the names of what is in it, by path parameter."""

    app: Flask
    names: dict[str, str]


@pytest.fixture(scope="module")
def market(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Market]:
    """Run the front with one finished rental, and another device that is being asked for its price."""
    with running_front(sqlite_urls(tmp_path_factory.mktemp("market")), clock=FixedClock(NOW)) as front:
        offer = front.offered(front.offer_for_hire())
        rental_id = front.agree(offer)["rental_id"]
        front.wait_for_rental(rental_id)
        # A live stream of it ends at once.
        front.call("settlement", "change_rental", rental_id, {"state": "SETTLED", "bill": True})
        other = DeviceActor(clock=front.clock, meter=a_key("other meter"))
        listing = front.offer_for_hire(other)
        names = {
            "device": other.device,
            "listing": f"0x{listing.hash.hex()}",
            "quote_id": front.ask(listing),
            "rental_id": rental_id,
            "address": f"0x{front.renter.wallet.identity.hex()}",
        }
        yield Market(app=front.client.application, names=names)
