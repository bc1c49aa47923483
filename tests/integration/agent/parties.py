"""A device's agent and a renter's agent, wired to a marketplace under test."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

from hireling.announce import Field
from hireling.approvals import Approvals
from hireling.bargaining.wishes import OwnerWishes
from hireling.broker_pass import BrokerPass
from hireling.clock import SystemClock
from hireling.decision_log import DecisionLog
from hireling.device.agent import DeviceAgent
from hireling.device.chain import EscrowReader
from hireling.device.listener import topics_for
from hireling.device.negotiator import Brief, Negotiator
from hireling.device.offering import Wishes
from hireling.device.presence import Presence
from hireling.device.tools import Tools
from hireling.drivers.driver import Driver
from hireling.durable import make_private_folder
from hireling.json_rpc import JsonRpc
from hireling.keystore import Keystore
from hireling.mandate_ledger import MandateLedger
from hireling.mqtt_line import MqttLine
from hireling.platform_client import PlatformClient
from hireling.platform_views import PlatformView
from hireling.renter.agent import RenterAgent
from hireling.renter.bargainer import Brief as RenterBrief
from hireling.renter.book import RenterBook
from hireling.renter.wallet import Wallet
from tests.integration.agent.marketplace import Marketplace
from tests.unit.agent.rentals import PARTIES

WAIT_SECONDS = 30.0


@dataclass
class Story:
    """What an agent announced, and a way to wait for its next word."""

    events: list[tuple[str, dict[str, Field]]] = field(default_factory=list)
    came: asyncio.Event = field(default_factory=asyncio.Event)

    def __call__(self, event: str, **fields: Field) -> None:
        self.events.append((event, fields))
        self.came.set()

    def named(self, name: str) -> list[dict[str, Field]]:
        return [fields for event, fields in self.events if event == name]

    async def until(self, name: str, *, times: int = 1) -> dict[str, Field]:
        async with asyncio.timeout(WAIT_SECONDS):
            while len(self.named(name)) < times:
                self.came.clear()
                await self.came.wait()
        return self.named(name)[times - 1]


async def facts_of(market: Marketplace) -> PlatformView:
    client = PlatformClient("http://market", transport=market.http)
    try:
        return await client.platform()
    finally:
        await client.close()


@dataclass
class Device:
    """A device's agent under test."""

    agent: DeviceAgent
    story: Story
    folder: Path
    task: "asyncio.Task[object]"

    async def crash(self) -> None:
        """End it without a last word, as far as one process can: nothing is signed or published any more."""
        self.task.cancel()
        await asyncio.gather(self.task, return_exceptions=True)


@asynccontextmanager
async def a_device(market: Marketplace, driver: Driver, folder: Path) -> AsyncIterator[Device]:
    """Run a device's agent for one rental."""
    story, clock = Story(), SystemClock()
    facts = await facts_of(market)
    platform = PlatformClient("http://market", transport=market.http)
    presence = Presence(
        platform=platform,
        facts=facts,
        machine=driver.facts,
        wishes=Wishes(),
        owner=PARTIES.owner,
        agent=PARTIES.owner_agent,
        meter=PARTIES.meter,
        clock=clock,
        announce=story,
    )
    tools = Tools(
        platform=platform,
        chain=EscrowReader(JsonRpc("http://node", transport=market.node), confirmations=2),
        line=MqttLine(
            market.broker,
            topics=topics_for(presence.device),
            announce=story,
            entry=BrokerPass(
                platform, domain=presence.domain, key=PARTIES.meter, device=presence.device, clock=clock
            ),
        ),
        driver=driver,
        meter_key=PARTIES.meter,
        agent_key=PARTIES.owner_agent,
        clock=clock,
        announce=story,
        folder=make_private_folder(folder / "rentals"),
        bills=folder / "bills",
        device=presence.device,
        bill_signer=facts.bill_signer,
        in_use=asyncio.Lock(),
    )
    ledger = MandateLedger(folder / "mandates.sqlite")
    negotiator = Negotiator(
        platform=platform,
        facts=facts,
        presence=presence,
        key=PARTIES.owner_agent,
        clock=clock,
        announce=story,
        brief=Brief(
            wishes=OwnerWishes(least_price_percent=80),
            ledger=ledger,
            approvals=Approvals(folder / "mandates.sqlite"),
            decisions=DecisionLog(folder / "decisions", side="owner"),
        ),
    )
    agent = DeviceAgent(tools=tools, presence=presence, negotiator=negotiator, ledger=ledger)
    device = Device(agent=agent, story=story, folder=folder, task=asyncio.create_task(agent.run_once()))
    try:
        yield device
    finally:
        await device.crash()
        await platform.close()


@dataclass
class Renter:
    """A renter's agent under test."""

    agent: RenterAgent
    story: Story
    book: RenterBook
    platform: PlatformClient


@asynccontextmanager
async def a_renter(market: Marketplace, folder: Path) -> AsyncIterator[Renter]:
    """Make a renter's agent."""
    story = Story()
    facts = await facts_of(market)
    platform = PlatformClient("http://market", transport=market.http)
    rpc = JsonRpc("http://node", transport=market.node)
    book = RenterBook(folder / "book")
    agent = RenterAgent(
        platform=platform,
        facts=facts,
        wallet=Wallet(PARTIES.renter, platform=platform, facts=facts, rpc=rpc),
        wallet_key=PARTIES.renter,
        keys=Keystore(folder / "keys", passphrase="correct horse"),
        book=book,
        bills=folder / "bills",
        clock=SystemClock(),
        announce=story,
        brief=RenterBrief(
            ledger=MandateLedger(folder / "mandates.sqlite"),
            approvals=Approvals(folder / "mandates.sqlite"),
            decisions=DecisionLog(folder / "decisions", side="renter"),
        ),
    )
    try:
        yield Renter(agent=agent, story=story, book=book, platform=platform)
    finally:
        await rpc.close()
        await platform.close()
