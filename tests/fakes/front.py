"""The front in one process: real listing, negotiation, metering and gateway on the in-process bus."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Generic

import eventlet
import httpx
from flask.testing import FlaskClient
from pydantic import BaseModel
from typing_extensions import TypeVar
from werkzeug.test import TestResponse

from hireling.rental.listing import SignedListing
from hireling.rental.offer import PlatformTerms, QuoteRequest, SignedOffer
from services.chassis.clock import Clock
from services.chassis.database import Database, open_database
from services.chassis.migrations import migrate
from services.chassis.runner import Platform, running
from services.chassis.service import Service
from services.gateway.app import create_app
from services.gateway.settings import GatewaySettings
from services.listing.service import Listing
from services.metering.service import Metering
from services.negotiation.service import Negotiation
from tests import stack
from tests.builders import platform_terms
from tests.fakes.actors import DeviceActor, RenterActor
from tests.fakes.clock import FixedClock
from tests.fakes.settlement.service import REGISTRY, FakeSettlement

SERVICES = ("listing", "negotiation", "metering", "settlement", "gateway")
EVERYONE: Sequence[type[Service]] = (Listing, Negotiation, Metering, FakeSettlement)
WITHIN_SECONDS = 20.0
ClockT = TypeVar("ClockT", bound=Clock, default=FixedClock)
# Streams and polls look again at once, and few fit in.
QUICK = GatewaySettings(poll_seconds=0.02, keep_alive_seconds=0.1, max_streams=2)


@dataclass(kw_only=True)
class Front(Generic[ClockT]):
    """The running front, and how to speak to it by RPC and by HTTP."""

    platform: Platform
    client: FlaskClient
    clock: ClockT
    gateway_rows: Database
    urls: Mapping[str, str]
    device: DeviceActor
    renter: RenterActor

    def call(self, service: str, method: str, *arguments: Any) -> Any:
        """Call a service; models travel as JSON."""
        return self.platform.rpc.call(service, method, *map(_wire, arguments), timeout=WITHIN_SECONDS)

    def transport(self) -> httpx.MockTransport:
        """Return the way on which an agent's client reaches this gateway."""

        def answer(request: httpx.Request) -> httpx.Response:
            answered = self.client.open(
                request.url.raw_path.decode(),
                method=request.method,
                data=request.content,
                content_type=request.headers.get("content-type"),
            )
            return httpx.Response(answered.status_code, content=answered.data, headers=dict(answered.headers))

        return httpx.MockTransport(answer)

    def post(self, path: str, body: BaseModel | dict[str, Any], **headers: str) -> TestResponse:
        """POST JSON."""
        return self.client.post(
            path, json=_wire(body), headers={name.replace("_", "-"): value for name, value in headers.items()}
        )

    def get(self, path: str) -> Any:
        """GET JSON that must be there."""
        response = self.client.get(path)
        assert response.status_code == 200, response.text
        return response.json

    def admit(self, device: DeviceActor | None = None) -> None:
        """Register a device and wait until the chain's registry has it."""
        actor = device or self.device
        self.call("listing", "register_device", actor.registration())
        self.platform.wait_until(
            lambda: self.call("listing", "get_device", actor.device)["registered"], timeout=WITHIN_SECONDS
        )

    def offer_for_hire(self, device: DeviceActor | None = None, **changes: Any) -> SignedListing:
        """Register, list and revive a device."""
        actor = device or self.device
        self.admit(actor)
        listing = actor.listing(**changes)
        self.call("listing", "publish_listing", listing)
        self.call("listing", "heartbeat", actor.device, actor.heartbeat())
        return listing

    def ask(self, listing: SignedListing, *, renter: RenterActor | None = None, **changes: Any) -> str:
        """Ask for a price; return the quote's id."""
        question = (renter or self.renter).question(listing.document, **changes)
        quote_id: str = self.call("negotiation", "request_quote", question)["quote_id"]
        return quote_id

    def offered(
        self, listing: SignedListing, *, renter: RenterActor | None = None, **changes: Any
    ) -> SignedOffer:
        """Ask for a price and get one; return the first offer."""
        quote_id = self.ask(listing, renter=renter, **changes)
        # As it was asked: the same question a second later would be another one.
        asked = self.call("negotiation", "get_quote", quote_id)["request"]
        request = QuoteRequest.model_validate(asked, strict=False)
        offer = self.device.first_offer(request, listing.document, quote_id)
        self.call("negotiation", "make_offer", quote_id, offer)
        return offer

    def agree(self, offer: SignedOffer, *, renter: RenterActor | None = None) -> dict[str, Any]:
        """Sign an offer's agreement by both sides; return the quote."""
        self.call("negotiation", "sign_agreement", self.device.signature(offer.offer))
        agreed: dict[str, Any] = self.call(
            "negotiation", "sign_agreement", (renter or self.renter).signature(offer.offer)
        )
        return agreed

    def wait_for_rental(self, rental_id: str) -> None:
        """Wait until settlement has heard of a rental."""
        self.platform.wait_until(
            lambda: (
                rental_id
                in {item["rental_id"] for item in self.call("settlement", "list_rentals", {})["items"]}
            ),
            timeout=WITHIN_SECONDS,
        )


def postgresql_urls(cleanup: ExitStack) -> dict[str, str]:
    """Make a PostgreSQL database for each service, with its tables already where it is the real one."""
    make = {"settlement": stack.fresh_database}
    return {name: cleanup.enter_context(make.get(name, stack.migrated_database)(name)) for name in SERVICES}


def sqlite_urls(folder: Path) -> dict[str, str]:
    """Return a SQLite file for each service."""
    return {service: f"sqlite:///{folder / service}.db" for service in SERVICES}


@contextmanager
def running_front(
    urls: Mapping[str, str],
    *,
    clock: ClockT,
    services: Sequence[type[Service]] = EVERYONE,
    settings: GatewaySettings = QUICK,
    terms: PlatformTerms | None = None,
    registry: bytes = REGISTRY,
) -> Iterator[Front[ClockT]]:
    """Run the gateway and these services, each on its database, for as long as the block lasts."""
    migrate("gateway", url=urls["gateway"])
    database = open_database(urls["gateway"])
    with running(*services, databases=urls, clock=clock) as platform:
        app = create_app(settings, platform.rpc, database=database, clock=clock, pause=eventlet.sleep)
        yield Front(
            platform=platform,
            client=app.test_client(),
            clock=clock,
            gateway_rows=database,
            urls=urls,
            device=DeviceActor(clock=clock, terms=terms or platform_terms(), registry=registry),
            renter=RenterActor(clock=clock, terms=terms or platform_terms()),
        )
    database.close()


def _wire(argument: Any) -> Any:
    return argument.model_dump(mode="json") if isinstance(argument, BaseModel) else argument
