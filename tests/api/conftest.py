"""The gateway with every real service behind it on a real chain, and something in each of them."""

from collections.abc import Iterator
from dataclasses import dataclass

import pytest
from flask import Flask

from hireling.rental.close import Close
from hireling.rental.signing import sign
from hireling.rental.states import State
from services.chassis.clock import SystemClock
from services.listing.service import Listing
from services.messages.settlement import CloseHalf
from services.metering.service import Metering
from services.negotiation.service import Negotiation
from services.settlement.service import Settlement
from tests.builders import ARBITER, FEE_TO, OWNER_AGENT_KEY, OWNER_KEY, a_key, platform_terms
from tests.chain import DevChain
from tests.chain_rentals import FOREVER, STRANGER_KEY, door, permit, send
from tests.fakes.actors import DeviceActor
from tests.fakes.front import Front, running_front, sqlite_urls

REAL = (Listing, Negotiation, Metering, Settlement)
PATIENCE = 30.0


@dataclass(frozen=True)
class Market:
    """The application, and the names of what is in it, by path parameter."""

    app: Flask
    names: dict[str, str]


@pytest.fixture(scope="module")
def market(session_chain: DevChain, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Market]:
    """Run everything with one finished rental, and another device that is being asked for its price."""
    folder, contracts, clock = tmp_path_factory.mktemp("market"), session_chain.deployment, SystemClock()
    terms = platform_terms(chain_id=contracts.chain_id, escrow=contracts.escrow, token=contracts.token)
    environment = {
        "HIRELING_HOME": str(folder),
        "HIRELING_RPC_URL": session_chain.rpc_url,
        "HIRELING_DEPLOYMENT": str(contracts.path),
        "SETTLEMENT_CONFIRMATIONS": "1",
        "SETTLEMENT_FEE_TO": f"0x{FEE_TO.hex()}",
        "SETTLEMENT_ARBITER": f"0x{ARBITER.hex()}",
    }
    with pytest.MonkeyPatch.context() as patch, session_chain.rolled_back():
        for name, value in environment.items():
            patch.setenv(name, value)
        urls, registry = sqlite_urls(folder), contracts.registry
        with running_front(urls, clock=clock, services=REAL, terms=terms, registry=registry) as front:
            rental_id = a_cancelled_rental(front, session_chain)
            other = DeviceActor(clock=clock, meter=a_key("other meter"), terms=terms, registry=registry)
            listing = front.offer_for_hire(other)
            names = {
                "device": other.device,
                "listing": f"0x{listing.hash.hex()}",
                "quote_id": front.ask(listing),
                "rental_id": rental_id,
                "principal": f"0x{OWNER_KEY.identity.hex()}",
                "address": f"0x{front.renter.wallet.identity.hex()}",
            }
            yield Market(app=front.client.application, names=names)


def a_cancelled_rental(front: Front[SystemClock], chain: DevChain) -> str:
    """Return a rental that was funded and given up by both before it began: its live stream ends at once."""
    offer = front.offered(front.offer_for_hire())
    rental_id: str = front.agree(offer)["rental_id"]
    front.wait_for_rental(rental_id)
    stranger = door(chain, key=STRANGER_KEY)
    send(stranger, stranger.calls.mint(front.renter.wallet.identity, offer.offer.all_in))
    given = permit(chain, stranger, value=offer.offer.all_in, key=front.renter.wallet)
    front.call("settlement", "fund", rental_id, given)
    wait_for(front, rental_id, State.FUNDED)
    close = Close(rental_id=bytes.fromhex(rental_id[2:]), use=0, damage=0, valid_until=FOREVER)
    domain = front.device.terms.domain
    for key, by in ((OWNER_AGENT_KEY, "owner"), (front.renter.session_key, "renter")):
        half = CloseHalf.model_validate({"close": close, "by": by, "signature": sign(key, domain, close)})
        front.call("settlement", "submit_close", rental_id, half)
    wait_for(front, rental_id, State.CANCELLED)
    return rental_id


def wait_for(front: Front[SystemClock], rental_id: str, state: State) -> None:
    """Wait until the rental is in this state."""
    front.platform.wait_until(
        lambda: front.call("settlement", "get_rental", rental_id)["state"] == state, timeout=PATIENCE
    )
