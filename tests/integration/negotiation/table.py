"""Sessions in negotiation's database, and agents that bargain in them over MQTT, by the documented wire."""

import asyncio
import json
import secrets
from collections import defaultdict
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import urlsplit

from aiomqtt import Client
from pydantic import BaseModel

from hireling.rental.broker_users import INGEST, bargainer_user, device_user
from hireling.rental.session_document import quote_id_of
from services.chassis.database import Database
from services.chassis.mqtt_settings import MqttSettings
from services.chassis.outbox import add_event
from services.messages.events.negotiation import QuoteRequested
from services.metering.access import hash_of, new_password
from services.metering.access_store import AccessStore
from services.metering.models import BrokerAccount
from services.negotiation import store
from services.negotiation.ingest import Ingest
from services.negotiation.session import QuoteSession
from services.negotiation.settings import IngestSettings
from tests.builders import NOW, a_key, a_mandate
from tests.fakes.actors import DeviceActor, RenterActor
from tests.fakes.clock import FixedClock
from tests.integration.metering.device import connected
from tests.integration.metering.lines import named, port_of

Json = dict[str, Any]
WITHIN_SECONDS = 60.0
SILENCE_SECONDS = 2.0
CLOCK = FixedClock(NOW)


@dataclass(frozen=True)
class Sides:
    """Both sides of a session, and its id."""

    quote_id: str
    device: DeviceActor
    renter: RenterActor
    quote: QuoteSession

    @property
    def owner_path(self) -> str:
        """Return where the device's topics are, below the root."""
        return device_user(self.device.device)

    @property
    def renter_path(self) -> str:
        """Return where the topics of the renter's agent are, below the root."""
        return bargainer_user(self.renter.session_key.identity)

    @property
    def first_offer(self) -> Json:
        """Return round 0, signed."""
        offer = self.device.first_offer(self.quote.request, self.quote.listing, self.quote_id)
        return {"offer": _json(offer)}


@dataclass(frozen=True)
class Table:
    """A broker, negotiation's database, and the accounts of the broker where it has some."""

    mqtt_url: str
    """The broker's address with the ingest's name in it."""
    database: Database
    database_url: str
    accounts: Database

    def sit_down(self, name: str = "") -> Sides:
        """Open a session of a machine and a renter that nobody else has."""
        name = name or secrets.token_hex(4)
        device = DeviceActor(clock=CLOCK, meter=a_key(f"{name}'s meter"))
        renter = RenterActor(clock=CLOCK, name=f"{name}'s renter")
        asked = renter.question(device.listing().document)
        quote = QuoteSession(
            quote_id=quote_id_of(asked.request),
            request=asked.request,
            listing=device.listing().document,
            mandate=a_mandate(),
            terms=device.terms,
            listing_signature=device.listing().signature,
            request_signature=asked.signature,
            answer_by=NOW + timedelta(minutes=1),
        )
        with self.database.unit_of_work() as session:
            store.add_quotes(session, [quote], asked_at=NOW)
            event = QuoteRequested(quote_id=quote.quote_id, device=quote.request.device)
            add_event(session, event, now=NOW)
        return Sides(quote.quote_id, device, renter, quote)

    def let_in(self, path: str) -> str:
        """Return the broker's address for this user: the stack's has one account for all."""
        if urlsplit(self.mqtt_url).username != INGEST:
            return self.mqtt_url
        password = new_password()
        until = datetime.now(UTC) + timedelta(hours=1)
        account = BrokerAccount(
            username=path, device=path[-66:], password_hash=hash_of(password), expires_at=until
        )
        with self.accounts.unit_of_work() as session:
            AccessStore(session).admit([account])
        return named(port_of(self.mqtt_url), path, password)

    def environment(self) -> dict[str, str]:
        """Return what an ingest process must be told."""
        return {"HIRELING_MQTT_URL": self.mqtt_url, "NEGOTIATION_DATABASE_URL": self.database_url}


class Agent:
    """One side's agent on the line."""

    def __init__(self, client: Client, path: str, quote_id: str) -> None:
        self._client, self._path, self._quote_id = client, path, quote_id
        self._news = asyncio.Condition()
        self.heard: dict[str, list[Json]] = defaultdict(list)
        """What came, by the last word of its topic."""

    async def listen(self) -> None:
        """Hear what comes, for ever."""
        async for message in self._client.messages:
            self.heard[message.topic.value.rsplit("/")[-1]].append(json.loads(bytes(message.payload)))
            async with self._news:
                self._news.notify_all()

    async def until(self, condition: Callable[[], Any], *, seconds: float = WITHIN_SECONDS) -> None:
        """Wait until the condition holds, looking whenever something is heard. Raises TimeoutError."""
        async with asyncio.timeout(seconds), self._news:
            await self._news.wait_for(condition)

    async def say(self, payload: bytes | str) -> None:
        """Publish among the moves."""
        await self._client.publish(f"hireling/{self._path}/moves", payload, qos=1)

    async def move(self, *, ref: str = "", **move: Any) -> Json:
        """Make a move, again and again until it is answered; return the answer."""
        ref = ref or secrets.token_hex(4)
        message = json.dumps({"ref": ref, "quote_id": self._quote_id, **move})
        async with asyncio.timeout(WITHIN_SECONDS):
            while True:
                await self.say(message)
                try:
                    await self.until(lambda: self.answers(ref), seconds=SILENCE_SECONDS)
                except TimeoutError:
                    continue
                return self.answers(ref)[-1]

    def answers(self, ref: str | None) -> list[Json]:
        """Return what was answered under this ref."""
        return [answer for answer in self.heard["answers"] if answer["ref"] == ref]

    async def until_told(self, **wanted: Any) -> Json:
        """Wait until told of a session that stands so; return it."""

        def found() -> list[Json]:
            return [told for told in self.heard["sessions"] if wanted.items() <= told.items()]

        await self.until(found)
        return found()[-1]


@asynccontextmanager
async def at_the_table(table: Table, sides: Sides, side: str) -> AsyncIterator[Agent]:
    """Connect one side's agent for the length of a block."""
    path = sides.owner_path if side == "owner" else sides.renter_path
    async with connected(table.let_in(path)) as client, asyncio.TaskGroup() as tasks:
        for word in ("answers", "sessions"):
            await client.subscribe(f"hireling/{path}/{word}", qos=1)
        agent = Agent(client, path, sides.quote_id)
        listening = tasks.create_task(agent.listen())
        yield agent
        listening.cancel()


@asynccontextmanager
async def running_ingest(table: Table, **settings: Any) -> AsyncIterator[Ingest]:
    """Run an ingest for the length of a block."""
    ingest = Ingest(
        table.database,
        mqtt=MqttSettings(mqtt_url=table.mqtt_url),
        settings=IngestSettings(**settings),
        clock=CLOCK,
    )
    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(ingest.run())
        async with asyncio.timeout(30):
            await ingest.ready.wait()
        yield ingest
        ingest.stop()


def signature(sides: Sides, side: str, offer: Any) -> Json:
    """Return one side's signature over what an offer makes, as it travels."""
    actor = sides.device if side == "owner" else sides.renter
    signed = actor.signature(offer)
    return {"signature": {name: _json(signed)[name] for name in ("offer", "signature")}}


def _json(model: BaseModel) -> Json:
    dumped: Json = model.model_dump(mode="json")
    return dumped
